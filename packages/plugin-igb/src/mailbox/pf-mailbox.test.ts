import { createManualClock } from "@vfmig/testkit";
import { describe, expect, it } from "vitest";
import { MAILBOX, REGISTER } from "../registers/registers.ts";
import { FakeRegisters } from "../testing/fake-context.ts";
import { FLAG, OPCODE } from "./messages.ts";
import { PfMailbox } from "./pf-mailbox.ts";

/** The real mailbox's registers: reads of its bits take them away. */
function rig() {
  const registers = new FakeRegisters();
  const clock = createManualClock();
  const messages: (readonly number[])[] = [];
  const asked: number[] = [];
  let bits = 0;
  let owned = false;
  let busy = false;
  let resets = 0;
  registers.onRead = (offset) => {
    if (offset !== REGISTER.V2PMAILBOX) return undefined;
    const value = bits | (owned ? MAILBOX.VFU : 0);
    bits &= MAILBOX.RSTI;
    return value;
  };
  registers.onWrite = (offset, value) => {
    if (offset !== REGISTER.V2PMAILBOX) return;
    owned = (value & MAILBOX.VFU) !== 0 && !busy;
    if ((value & MAILBOX.REQ) !== 0) asked.push(registers.read(REGISTER.VMBMEM));
  };
  const mailbox = new PfMailbox({
    registers,
    clock,
    onMessage: (message) => messages.push(message),
    onReset: () => void resets++,
  });
  const settle = async (turns = 40): Promise<void> => {
    for (let turn = 0; turn < turns; turn++) {
      // oxlint-disable-next-line no-await-in-loop -- promises settle between turns of the clock
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
      clock.advance(0.5);
    }
  };
  return {
    mailbox,
    messages,
    asked,
    settle,
    resets: () => resets,
    set: (value: number) => void (bits |= value),
    clear: () => void (bits = 0),
    keep: (on: boolean) => void (busy = on),
    say: (...dwords: readonly number[]) => {
      for (const [at, dword] of dwords.entries())
        registers.values.set(REGISTER.VMBMEM + 4 * at, dword);
      bits |= MAILBOX.PFSTS;
    },
  };
}

const LPE = [OPCODE.SET_LPE, 1518];
const granted = (head: number): number => (head | FLAG.CTS | FLAG.ACK) >>> 0;
const LIMIT = { timeoutMs: 10 };

async function outcome(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    (value) => value,
    (error: unknown) => error,
  );
}

describe("an exchange with the PF", () => {
  it("waits for the buffer, asks, and gives the answer", async () => {
    const { mailbox, asked, keep, set, say, settle } = rig();
    keep(true);
    let taken = 0;
    const reply = mailbox.exchange(LPE, { timeoutMs: 100, onTaken: () => void taken++ });
    await settle(10);
    expect(asked).toEqual([]);
    keep(false);
    await settle(10);
    expect(asked).toEqual([OPCODE.SET_LPE]);
    set(MAILBOX.PFACK);
    await settle(10);
    expect(taken).toBe(1);
    say(granted(OPCODE.SET_LPE));
    await settle(10);
    expect(await reply).toEqual([granted(OPCODE.SET_LPE)]);
  });

  it("passes on what the PF says unasked, before it and in it", async () => {
    const { mailbox, messages, set, say, settle } = rig();
    say(OPCODE.PF_CONTROL);
    mailbox.look();
    expect(messages).toEqual([[OPCODE.PF_CONTROL]]);
    const reply = mailbox.exchange(LPE, { timeoutMs: 100 });
    await settle(10);
    set(MAILBOX.PFACK);
    say(OPCODE.PF_CONTROL | FLAG.CTS);
    await settle(10);
    expect(messages).toHaveLength(2);
    say(granted(OPCODE.SET_LPE));
    await settle(10);
    expect(await reply).toEqual([granted(OPCODE.SET_LPE)]);
  });

  it("takes no late answer to another request for its own", async () => {
    const { mailbox, set, say, settle } = rig();
    const first = outcome(mailbox.exchange(LPE, LIMIT));
    await settle();
    expect(await first).toMatchObject({ code: "ERR_VFMIG_PF_SILENT" });
    const second = mailbox.exchange([OPCODE.SET_VLAN, 5], { timeoutMs: 100 });
    await settle(10);
    set(MAILBOX.PFACK);
    say(granted(OPCODE.SET_LPE));
    await settle(10);
    say(granted(OPCODE.SET_VLAN));
    await settle(10);
    expect(await second).toEqual([granted(OPCODE.SET_VLAN)]);
  });

  it("is refused by name where a grant is demanded", async () => {
    const { mailbox, set, say, settle } = rig();
    const refused = outcome(mailbox.demand(LPE, { timeoutMs: 100 }));
    await settle(10);
    set(MAILBOX.PFACK);
    say((OPCODE.SET_LPE | FLAG.NACK) >>> 0);
    await settle(10);
    expect(await refused).toMatchObject({ code: "ERR_VFMIG_PF_REFUSED" });
  });

  it("is given up where the VF or the PF is reset in it", async () => {
    for (const how of ["clear", "RSTD"] as const) {
      const { mailbox, set, settle, resets } = rig();
      const given = outcome(mailbox.exchange(LPE, { timeoutMs: 100 }));
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await settle(10);
      if (how === "clear") mailbox.clear();
      else set(MAILBOX.RSTD);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await settle(10);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      expect(await given).toMatchObject({ code: "ERR_VFMIG_VF_NOT_READY" });
      expect(resets()).toBe(how === "RSTD" ? 1 : 0);
    }
  });

  it("begins a VF's life in spite of an earlier reset of the PF", async () => {
    const { mailbox, set, say, settle } = rig();
    set(MAILBOX.RSTD);
    const reply = mailbox.exchange([OPCODE.VF_RESET], { timeoutMs: 100 });
    await settle(10);
    set(MAILBOX.PFACK);
    say((OPCODE.VF_RESET | FLAG.ACK) >>> 0, 0x02, 0x0a00);
    await settle(10);
    expect(await reply).toEqual([(OPCODE.VF_RESET | FLAG.ACK) >>> 0, 0x02, 0x0a00]);
  });

  it("waits while the PF is in reset", async () => {
    const { mailbox, asked, set, clear, settle } = rig();
    set(MAILBOX.RSTI);
    void outcome(mailbox.exchange([OPCODE.VF_RESET], { timeoutMs: 100 }));
    await settle(20);
    expect(asked).toEqual([]);
    clear();
    await settle(20);
    expect(asked).toEqual([OPCODE.VF_RESET]);
  });
});
