// VitePress's own theme, plus the rule that shows a picture's light or dark version.

import Theme from "vitepress/theme";
import "./pictures.css";

export default Theme;
