// The site that scripts/docs builds from this folder. It loads nothing from other servers.

import { defineConfig } from "vitepress";

export default defineConfig({
  title: "matrix",
  description: "Synthetic data from many LLM agents at once",
  outDir: "../dist/docs",
  cacheDir: "../dist/docs-cache",
  // Templates such as {{ row.question }} stand in code, where Vue would evaluate them.
  markdown: {
    config: (md) => {
      const plain = md.renderer.rules.code_inline;
      md.renderer.rules.code_inline = (...args) =>
        (plain?.(...args) ?? "").replace(/^<code/, "<code v-pre");
    },
  },
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    nav: [
      { text: "Getting started", link: "/getting-started" },
      { text: "Recipes", link: "/recipes" },
      { text: "Clusters", link: "/clusters" },
      { text: "Troubleshooting", link: "/troubleshooting" },
    ],
    sidebar: [
      {
        text: "Start",
        items: [
          { text: "What matrix is", link: "/" },
          { text: "Getting started", link: "/getting-started" },
          { text: "Install", link: "/install" },
        ],
      },
      {
        text: "Write a recipe",
        items: [
          { text: "Recipes", link: "/recipes" },
          { text: "Every key", link: "/recipe-keys" },
          { text: "Recipes that ship", link: "/shipped" },
          { text: "Agents", link: "/agents" },
          { text: "Orchestrators", link: "/orchestrators" },
          { text: "Models", link: "/models" },
          { text: "Budgets and limits", link: "/budgets" },
          { text: "Sandboxes", link: "/sandboxes" },
          { text: "Tau2", link: "/tau2" },
        ],
      },
      {
        text: "Run it",
        items: [
          { text: "Data in", link: "/data-in" },
          { text: "Clusters", link: "/clusters" },
          { text: "Watching a run", link: "/seeing" },
          { text: "Commands", link: "/commands" },
          { text: "Files and exit codes", link: "/files" },
          { text: "Data out", link: "/data-out" },
          { text: "Replay a run", link: "/replay" },
          { text: "Troubleshooting", link: "/troubleshooting" },
          { text: "Security", link: "/security" },
        ],
      },
      {
        text: "How it works",
        items: [
          { text: "Delivery", link: "/delivery" },
          { text: "Architecture", link: "/architecture" },
          { text: "Performance", link: "/performance" },
          { text: "Decisions", link: "/decisions/" },
        ],
      },
      {
        text: "Change it",
        items: [
          { text: "Contributing", link: "/contributing" },
          { text: "Mutation testing", link: "/mutation-testing" },
          { text: "Dependencies", link: "/dependencies" },
        ],
      },
    ],
  },
});
