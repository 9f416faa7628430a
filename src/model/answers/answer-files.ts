// Answers kept in a folder that many processes share, each with its own segments: the journal of a
// run, or a cache for many runs. The journal costs a step only its append: no process looks
// anything up until some step may come a second time.

import { readdir } from "node:fs/promises";
import { makeOwnFolder } from "../../task/own-files.ts";
import type { Journal } from "../context.ts";
import type { ChatAnswer, ChatRequest } from "../contract.ts";
import { AnswerIndex } from "./answer-index.ts";
import { encodeAnswer, parseSegmentName, requestKey } from "./answer-line.ts";
import { AnswerWriter } from "./answer-writer.ts";
import { Claims } from "./claims.ts";

/** Segments stay small, because each is removed as a whole and its new part is read at once. */
const SEGMENT_BYTES = 8 * 2 ** 20;
/** A cache is scanned again after this time for what other runs have added. */
const CACHE_SCAN_MS = 10_000;
export interface AnswerFilesOptions {
  /** Made when it is missing. */
  readonly folder: string;
  /** Names this process among all that ever write to the folder. */
  readonly writer: string;
  /** `journal`: a request is looked up when it may have been made before. `cache`: always. */
  readonly use: "journal" | "cache";
  readonly warn: (message: string, fields: Readonly<Record<string, string>>) => void;
  readonly segmentBytes?: number;
  /** Called before each write; an answer for which it fails is not kept. */
  readonly confirm?: () => Promise<void>;
  /** Tells whether the process of that name lives, so that an answer may come from it. */
  readonly isWriting?: (writer: string) => boolean;
  /** Milliseconds of a steady clock. */
  readonly now?: () => number;
}

export class AnswerFiles implements Journal {
  readonly #use: AnswerFilesOptions["use"];
  readonly #index: AnswerIndex;
  readonly #now: () => number;
  readonly #writer: AnswerWriter;
  readonly #claims: Claims;
  /** True when every request is looked up, and not only one of a step that may be a repetition. */
  readonly #mayKnow: boolean;
  /** True until the first scan of a folder that had answers when it was opened. */
  #isStale: boolean;
  #scannedAt = Number.NEGATIVE_INFINITY;
  /** The scan that is under way, and the one that begins after it. */
  #scanning: Promise<void> | null = null;
  #nextScan: Promise<void> | null = null;

  private constructor(
    {
      folder,
      writer,
      use,
      warn,
      segmentBytes = SEGMENT_BYTES,
      confirm,
      isWriting = () => false,
      now = () => performance.now(),
    }: AnswerFilesOptions,
    isEmpty: boolean,
  ) {
    this.#use = use;
    this.#now = now;
    this.#mayKnow = use === "cache" || !isEmpty;
    this.#isStale = !isEmpty;
    this.#index = new AnswerIndex({
      folder,
      onBadLine: (segment) =>
        warn(`the ${use} has a line that is not an answer; it is skipped`, { folder, segment }),
    });
    this.#writer = new AnswerWriter({
      folder,
      writer,
      segmentBytes,
      ...(confirm === undefined ? {} : { confirm }),
      onFailure: (why) =>
        warn(
          `answers cannot be kept in the ${use}; they are used, but may have to be asked for again`,
          { folder, why },
        ),
    });
    this.#claims = new Claims({
      self: writer,
      index: this.#index,
      scan: () => this.#scan(),
      append: (line) => this.#writer.append(line),
      isWriting,
      now,
    });
  }

  /** Fails when the folder cannot be made, or other users may write to it. */
  static async open(options: AnswerFilesOptions): Promise<AnswerFiles> {
    await makeOwnFolder(options.folder);
    const names = await readdir(options.folder);
    return new AnswerFiles(options, !names.some((name) => parseSegmentName(name) !== null));
  }

  async find(model: string, request: ChatRequest): Promise<ChatAnswer | null> {
    const isDue = this.#use === "cache" && this.#now() - this.#scannedAt > CACHE_SCAN_MS;
    if (this.#isStale || isDue) await this.#scan();
    else await this.#scanning;
    return (await this.#index.find(requestKey(model, request)))?.answer ?? null;
  }

  async findOrClaim(
    model: string,
    request: ChatRequest,
    signal?: AbortSignal,
  ): Promise<ChatAnswer | null> {
    const { attempt = 1, mayRepeat = false } = request.origin ?? {};
    const key = requestKey(model, request);
    if (attempt > 1 || mayRepeat) {
      // The process that did this step before may have written since the last scan.
      await this.#scan();
      return await this.#claims.settle(key, signal);
    }
    const kept = this.#mayKnow ? await this.find(model, request) : null;
    // Another process looks for the note as soon as the request may be under way.
    if (kept === null) await this.#claims.claim(key);
    return kept;
  }

  drop(model: string, request: ChatRequest): void {
    this.#claims.drop(requestKey(model, request));
  }

  async keep(model: string, request: ChatRequest, answer: ChatAnswer): Promise<void> {
    const key = requestKey(model, request);
    await this.#writer.append(encodeAnswer(key, model, request, answer));
    this.#claims.fulfil(key);
  }

  async close(): Promise<void> {
    await this.#writer.close();
  }

  /** Resolves when a scan that began after this call is done. */
  #scan(): Promise<void> {
    if (this.#scanning === null) return this.#startScan();
    this.#nextScan ??= this.#scanning.then(() => this.#startScan());
    return this.#nextScan;
  }

  #startScan(): Promise<void> {
    this.#nextScan = null;
    this.#isStale = false;
    this.#scannedAt = this.#now();
    this.#scanning = this.#index.scan().finally(() => {
      this.#scanning = null;
    });
    return this.#scanning;
  }
}
