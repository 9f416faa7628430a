// The list of the page's files that scripts/page.ts writes: names, and paths that the binary has.

declare module "*/dist/page/files.js" {
  const files: readonly (readonly [name: string, path: string])[];
  export default files;
}
