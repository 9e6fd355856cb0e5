/**
 * Lets the queues of a device change rings one switch at a time, since each costs its queue the frames that come
 * while it stands still. Those that wait go on in the order in which they came; a switch that fails ends its turn
 * as one that is done. There is no time limit here: whoever waited has to see whether its switch is still wanted.
 */
export class SwitchTurns {
  #turn: Promise<void> | undefined;

  /** A switch runs. */
  get taken(): boolean {
    return this.#turn !== undefined;
  }

  /**
   * Runs a switch when no other runs, at once where none does. One that takes a turn in its own waits for itself.
   * @returns what `run` gives
   * @throws what `run` throws or rejects with
   */
  async take<T>(run: () => Promise<T>): Promise<T> {
    while (this.#turn !== undefined) {
      // oxlint-disable-next-line no-await-in-loop -- whoever comes first goes on
      await this.#turn;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    try {
      return await run();
    } finally {
      this.#turn = undefined;
      resolve();
    }
  }
}
