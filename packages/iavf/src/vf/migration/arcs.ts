import type { MigrationOps } from "@vfmig/core";
import { offered } from "../describe/describe.ts";
import type { Parts } from "../parts.ts";
import { freshVf } from "./reset-vf.ts";
import { run } from "./run.ts";
import { stop } from "./stop.ts";

/**
 * What each single step of the migration states does to the function. It stands still from the P2P
 * states on: a NIC that neither sends nor receives has nothing left to do on its way to STOP.
 */
export function migrationArcs(parts: Parts): MigrationOps["arcs"] {
  const { shadow } = parts;
  const halt = (signal: AbortSignal): Promise<void> => stop(parts, signal);
  const go = (signal: AbortSignal): Promise<void> => run(parts, signal);
  const nothing = (): Promise<void> => Promise.resolve();
  return {
    "running->running-p2p": (signal) => shadowedHalt(parts, signal),
    "running-p2p->running": async (signal) => {
      await go(signal);
      shadow.close("saving");
    },
    "running-p2p->stop": nothing,
    "stop->running-p2p": nothing,
    "stop->stop-copy": nothing,
    "stop-copy->stop": nothing,
    // Here, and not when the state has come: the other host's guest still runs meanwhile.
    "stop->resuming": (signal) => prepare(parts, signal),
    "resuming->stop": nothing,
    "running->pre-copy": (signal) => shadow.open("saving", signal),
    "pre-copy->running": () => {
      shadow.close("saving");
      return Promise.resolve();
    },
    "pre-copy->pre-copy-p2p": halt,
    "pre-copy-p2p->pre-copy": go,
    "running-p2p->pre-copy-p2p": nothing,
    "pre-copy-p2p->running-p2p": nothing,
    "pre-copy-p2p->stop-copy": nothing,
  };
}

/** Every save leaves from shadow mode, also one that nothing has prepared. */
async function shadowedHalt(parts: Parts, signal: AbortSignal): Promise<void> {
  const { shadow } = parts;
  await shadow.open("saving", signal);
  try {
    await stop(parts, signal);
  } catch (error) {
    shadow.close("saving");
    throw error;
  }
}

async function prepare(parts: Parts, signal: AbortSignal): Promise<void> {
  const release = parts.config.hold();
  try {
    await freshVf(parts, signal);
    // Asked now, since asking takes a reset of the VF and the state will want to know.
    await offered(parts);
  } finally {
    release();
  }
}
