import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { ERROR_CODES, VfmigError, type Layer, type VfmigErrorCode } from "@vfmig/core";
import type { GuestAnswers, GuestCommand, GuestMessage, GuestSaying } from "./ipc.ts";

/** A guest with its VMM, in a process of its own. */
export interface GuestProcess extends AsyncDisposable {
  /**
   * @throws VfmigError with the code that the guest's process gave, or `ERR_VFMIG_TESTKIT_GUEST`
   */
  ask<Command extends GuestCommand>(command: Command): Promise<GuestAnswers[Command["do"]]>;
}

/** Starts a guest's process. `onFault` hears what no sound device makes a guest say. */
export function startGuestProcess(onFault: (message: string) => void): GuestProcess {
  return new ForkedGuest(onFault);
}

class ForkedGuest implements GuestProcess {
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #ended = Promise.withResolvers<undefined>();
  #id = 0;

  constructor(onFault: (message: string) => void) {
    // Tests run the sources; Node strips their types, and finds the other packages' sources by condition.
    const fromSource = import.meta.url.endsWith(".ts");
    const main = new URL(fromSource ? "./guest-process.ts" : "./guest-process.js", import.meta.url);
    this.#child = fork(fileURLToPath(main), {
      execArgv: fromSource ? ["--conditions=@vfmig/source"] : [],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#child.on("message", (message) => this.#hear(message as GuestSaying, onFault));
    this.#child.on("error", (error) => this.#died(error.message));
    this.#child.on("exit", (code, signal) => this.#died(`it ended with ${signal ?? code}`));
  }

  async ask<Command extends GuestCommand>(command: Command): Promise<GuestAnswers[Command["do"]]> {
    if (!this.#child.connected) throw failure("it has ended");
    const id = this.#id++;
    const answer = Promise.withResolvers<unknown>();
    this.#answers.set(id, answer);
    const message: GuestMessage = { ...command, id };
    this.#child.send(message);
    return (await answer.promise) as GuestAnswers[Command["do"]];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    await this.#ended.promise;
  }

  #hear(message: GuestSaying, onFault: (message: string) => void): void {
    if (message.say === "fault") {
      onFault(message.message);
      return;
    }
    const answer = this.#answers.get(message.id);
    this.#answers.delete(message.id);
    if (message.say === "answer") answer?.resolve(message.value);
    else answer?.reject(refusal(message));
  }

  #died(why: string): void {
    for (const answer of this.#answers.values()) answer.reject(failure(why));
    this.#answers.clear();
    this.#ended.resolve(undefined);
  }
}

function refusal(saying: GuestSaying & { readonly say: "refusal" }): VfmigError {
  const { code, layer, message } = saying;
  if (code === undefined || layer === undefined || !Object.hasOwn(ERROR_CODES, code)) {
    return failure(message);
  }
  return new VfmigError(code as VfmigErrorCode, message, { layer: layer as Layer });
}

function failure(why: string): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_TESTKIT_GUEST",
    `The guest's process failed: ${why}. Its lines on stderr say more.`,
    { layer: "testkit" },
  );
}
