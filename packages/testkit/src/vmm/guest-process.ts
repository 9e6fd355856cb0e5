import { VfmigError } from "@vfmig/core";
import { answerParent, tellParent } from "../child/answer-parent.ts";
import { GuestMachine } from "./guest-machine.ts";
import type { GuestCommand, GuestFaultEvent } from "./ipc.ts";

/** A guest and its VMM in a process of their own. */
class GuestMain {
  #guest: GuestMachine | undefined;

  async run(command: GuestCommand): Promise<unknown> {
    if (command.do === "open") {
      this.#guest = await GuestMachine.open(command, (fault) => {
        const event: GuestFaultEvent = { fault };
        tellParent(event);
      });
      return null;
    }
    const guest = this.#guest;
    if (guest === undefined) {
      throw new VfmigError(
        "ERR_VFMIG_TESTKIT_GUEST",
        `"${command.do}" came before "open"; open the guest's process first.`,
        { layer: "testkit" },
      );
    }
    switch (command.do) {
      case "start":
        guest.start(command.rate);
        return null;
      case "move":
        return await guest.move(command.to, command.saveStateTo);
      case "stop":
        guest.stop();
        return null;
      case "report":
        return guest.report();
      case "close":
        await guest[Symbol.asyncDispose]();
        return null;
    }
  }
}

if (import.meta.main && process.send !== undefined) {
  const main = new GuestMain();
  // Both ends are this package's own.
  answerParent(async (command) => await main.run(command as GuestCommand));
}
