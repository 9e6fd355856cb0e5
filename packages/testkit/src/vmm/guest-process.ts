import { VfmigError } from "@vfmig/core";
import { GuestMachine } from "./guest-machine.ts";
import type { GuestMessage, GuestSaying } from "./ipc.ts";

/** A guest and its VMM in a process of their own: commands in, answers out, and an end with its parent. */
class GuestMain {
  #guest: GuestMachine | undefined;

  async run(command: GuestMessage): Promise<unknown> {
    if (command.do === "open") {
      this.#guest = await GuestMachine.open(command, (message) => say({ say: "fault", message }));
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

function say(saying: GuestSaying): void {
  process.send?.(saying);
}

async function answer(main: GuestMain, command: GuestMessage): Promise<void> {
  try {
    say({ say: "answer", id: command.id, value: await main.run(command) });
  } catch (error) {
    const known = VfmigError.is(error) ? error : undefined;
    const message = error instanceof Error ? error.message : String(error);
    const { id } = command;
    say({ say: "refusal", id, code: known?.code, layer: known?.layer, message });
  }
}

if (import.meta.main && process.send !== undefined) {
  const main = new GuestMain();
  process.on("message", (message) => void answer(main, message as GuestMessage));
  // The parent's end of the channel closes with it, however it ends.
  process.on("disconnect", () => process.exit(0));
}
