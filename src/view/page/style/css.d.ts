// Style sheets, which the bundler takes from the scripts that import them.

declare module "*.css" {}
