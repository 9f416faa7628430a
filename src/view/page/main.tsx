// The entry of `app.js`: the page of `matrix view`.

import "./style/page.css";
import { render } from "preact";
import { App } from "./app.tsx";
import { SourceContext } from "./loaded.ts";
import { createBundleSource } from "./source/bundle.ts";
import { createHttpSource } from "./source/http.ts";

// `matrix view --bundle` marks its page; no server stands behind a file.
const isBundle =
  document.documentElement.dataset["bundle"] !== undefined || location.protocol === "file:";
const source = isBundle
  ? createBundleSource()
  : createHttpSource(new URL(".", document.baseURI.replace(/[?#].*$/, "")));

const root = document.getElementById("app");
if (root !== null) {
  root.replaceChildren();
  render(
    <SourceContext value={source}>
      <App />
    </SourceContext>,
    root,
  );
}
