import { VfmigError } from "@vfmig/core";

/** What went wrong in other processes while the scenario waited for something else. */
export class Trouble {
  readonly #lines: string[] = [];

  note(line: string): void {
    this.#lines.push(line);
  }

  /** @throws VfmigError `ERR_VFMIG_TESTKIT_GUEST` if anything was noted */
  check(): void {
    if (this.#lines.length === 0) return;
    const [first] = this.#lines;
    throw new VfmigError(
      "ERR_VFMIG_TESTKIT_GUEST",
      `The run went wrong: ${first}${this.#lines.length > 1 ? ` (and ${this.#lines.length - 1} more)` : ""}.`,
      { layer: "testkit", details: { lines: this.#lines.slice(0, 20) } },
    );
  }
}
