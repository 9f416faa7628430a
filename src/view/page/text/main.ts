// The entry of `text.js`: markdown, formulas and coloured code.

import { highlight } from "./highlight.ts";
import { TEXT_KIT_EVENT } from "./kit.ts";
import { markdown } from "./markdown.ts";
import { drawMath } from "./math.ts";

globalThis.matrixText = { markdown, highlight, drawMath };
dispatchEvent(new Event(TEXT_KIT_EVENT));
