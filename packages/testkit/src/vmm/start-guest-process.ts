import { VfmigError } from "@vfmig/core";
import { Child } from "../child/child.ts";
import type { GuestAnswers, GuestCommand, GuestFaultEvent } from "./ipc.ts";

/** A guest with its VMM, in a process of its own. */
export type GuestProcess = Child<GuestCommand, GuestAnswers, GuestFaultEvent>;

/** Starts a guest's process. `onFault` hears what no sound device makes a guest say. */
export function startGuestProcess(onFault: (message: string) => void): GuestProcess {
  return new Child({
    beside: import.meta.url,
    main: "guest-process",
    failure,
    onEvent: ({ fault }) => onFault(fault),
  });
}

function failure(why: string): VfmigError {
  return new VfmigError(
    "ERR_VFMIG_TESTKIT_GUEST",
    `The guest's process failed: ${why}. Its lines on stderr say more.`,
    { layer: "testkit" },
  );
}
