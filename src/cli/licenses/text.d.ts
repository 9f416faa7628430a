// Files that the binary carries as text.

declare module "*.txt" {
  const text: string;
  export default text;
}
