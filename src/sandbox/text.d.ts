// Files that are imported as their text (`with { type: "text" }`), so that the binary carries them.

declare module "*.py" {
  const text: string;
  export default text;
}

declare module "*.mjs" {
  const text: string;
  export default text;
}
