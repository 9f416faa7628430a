// The generated list of the files that the binary carries.

/** Texts by path from the top of the project: `recipes/coral.toml`. */
export const FILES: ReadonlyMap<string, string>;
/** Texts of the templates of `matrix init`: `recipes/templates/chat/recipe.toml`. */
export const TEMPLATES: ReadonlyMap<string, string>;
