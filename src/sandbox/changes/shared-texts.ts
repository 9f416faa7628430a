// Texts that sandboxes have when their tasks begin, each kept once: the sandboxes of one image have
// the same ones. A text goes when no tree holds it any more.

export class SharedTexts {
  readonly #texts = new Map<string, WeakRef<Buffer>>();
  readonly #gone = new FinalizationRegistry<string>((id) => {
    if (this.#texts.get(id)?.deref() === undefined) this.#texts.delete(id);
  });

  /** For `takeTree`: keeps texts, and no other contents. */
  readonly keep = (content: Buffer, id: string, isText: boolean): Buffer | null => {
    if (!isText) return null;
    const known = this.#texts.get(id)?.deref();
    if (known !== undefined) return known;
    this.#texts.set(id, new WeakRef(content));
    this.#gone.register(content, id);
    return content;
  };
}
