import { silentLogger } from "@vfmig/core";
import { beforeEach, describe, expect, it } from "vitest";
import { GiveBack } from "./give-back.ts";

let busy: boolean;
let entry: string | undefined;
let closed: number;
let warned: string[];
let giveBack: GiveBack;

beforeEach(() => {
  busy = false;
  entry = "vf0";
  closed = 0;
  warned = [];
  giveBack = new GiveBack({
    entry: () => entry,
    busy: () => busy,
    close: () => (closed += 1),
    logger: { ...silentLogger, warn: (text) => void warned.push(text) },
  });
});

describe("A device that its machine wants back", () => {
  it("is closed at once where no client uses it, and once only", () => {
    giveBack.asked("vf0");
    giveBack.asked("vf0");
    giveBack.clientGone();
    expect(closed).toBe(1);
  });

  it("is kept while a client uses it, who is named as what is in the way, and closed when it goes", () => {
    busy = true;
    giveBack.asked("vf0");
    expect([closed, warned.length]).toEqual([0, 1]);
    expect(warned[0]).toContain('"vf0" is wanted back');
    giveBack.clientGone();
    expect(closed).toBe(1);
  });

  it("is closed when it is asked for again after a client that never said a word", () => {
    busy = true;
    giveBack.asked("vf0");
    busy = false;
    giveBack.asked("vf0");
    expect(closed).toBe(1);
  });

  it("leaves the one alone that took its place meanwhile", () => {
    busy = true;
    giveBack.asked("vf0");
    entry = "spare";
    giveBack.clientGone();
    giveBack.asked("vf0");
    expect(closed).toBe(0);
    busy = false;
    giveBack.asked("spare");
    expect(closed).toBe(1);
  });

  it("waits while another is taking its place", () => {
    entry = undefined;
    giveBack.asked("vf0");
    giveBack.clientGone();
    expect(closed).toBe(0);
  });

  it("goes on where clients come and go and nobody asked for it", () => {
    giveBack.clientGone();
    expect(closed).toBe(0);
  });
});
