// Vite turns an imported style sheet into a part of the page; it has no value.

declare module "*.css";
