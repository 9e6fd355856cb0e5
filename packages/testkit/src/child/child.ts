import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { VfmigError } from "@vfmig/core";
import { arrived, type NumberedQuestion, type Question, type Saying } from "./messages.ts";

export interface ChildOptions<Event> {
  /** `import.meta.url` of the module beside which the process's main file lies. */
  readonly beside: string;
  /** That file's name, without its ending. */
  readonly main: string;
  /** Makes an error of what befell the process, or what it said that is no error of vfmig. */
  readonly failure: (why: string) => VfmigError;
  readonly onEvent: (event: Event) => void;
  /** The process ended though nobody asked it to. */
  readonly onDeath?: ((error: VfmigError) => void) | undefined;
}

/** A process of this package's own that answers questions; it ends with its parent. */
export class Child<
  Asked extends Question,
  Answers extends Readonly<Record<Asked["do"], unknown>>,
  Event,
> implements AsyncDisposable {
  readonly #options: ChildOptions<Event>;
  readonly #process: ChildProcess;
  readonly #answers = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #ended = Promise.withResolvers<undefined>();
  #id = 0;
  #closing = false;

  constructor(options: ChildOptions<Event>) {
    this.#options = options;
    // Tests run the sources; Node strips their types, and finds the other packages' sources by condition.
    const fromSource = options.beside.endsWith(".ts");
    const main = new URL(`./${options.main}${fromSource ? ".ts" : ".js"}`, options.beside);
    this.#process = fork(fileURLToPath(main), {
      execArgv: fromSource ? ["--conditions=@vfmig/source"] : [],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    // Both ends are this package's own.
    this.#process.on("message", (message) => this.#hear(message as Saying<Event>));
    this.#process.on("error", (error) => this.#died(error.message));
    this.#process.on("exit", (code, signal) => this.#died(`it ended with ${signal ?? code}`));
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** @throws VfmigError with the code that the process gave, or `failure`'s */
  async ask<One extends Asked>(question: One): Promise<Answers[One["do"]]> {
    if (!this.#process.connected) throw this.#options.failure("it has ended");
    const id = this.#id++;
    const answer = Promise.withResolvers<unknown>();
    this.#answers.set(id, answer);
    const message: NumberedQuestion<One> = { id, question };
    this.#process.send(message);
    return (await answer.promise) as Answers[One["do"]];
  }

  /** Lets the process go, and waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    if (this.#process.connected) this.#process.disconnect();
    await this.#ended.promise;
  }

  #hear(saying: Saying<Event>): void {
    if (saying.say === "event") {
      this.#options.onEvent(saying.event);
      return;
    }
    const answer = this.#answers.get(saying.id);
    this.#answers.delete(saying.id);
    if (saying.say === "answer") answer?.resolve(saying.value);
    else answer?.reject(arrived(saying.error, this.#options.failure));
  }

  #died(why: string): void {
    const error = this.#options.failure(why);
    for (const answer of this.#answers.values()) answer.reject(error);
    this.#answers.clear();
    this.#ended.resolve(undefined);
    if (!this.#closing) this.#options.onDeath?.(error);
    this.#closing = true;
  }
}
