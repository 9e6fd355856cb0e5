import type { VfmigError } from "@vfmig/core";
import { createFakeIo, type FakeIo } from "@vfmig/linux/fake";
import { beforeEach, describe, expect, it } from "vitest";
import { openGrantChannel, receiveGrant, type GrantChannel } from "./grant-channel.ts";
import { holdGrant } from "./held-grant.ts";

let io: FakeIo;
let channel: GrantChannel;

beforeEach(() => {
  io = createFakeIo();
  channel = openGrantChannel(io);
});

const refused = expect.objectContaining({ code: "ERR_VFMIG_HOST_STANDBY" }) as VfmigError;

describe("A grant that goes to a process that runs", () => {
  it("arrives as copies of its descriptors under their names, with its facts", () => {
    const fds = { device: io.memfd("device", 4096), group: io.eventfd() };
    const sent = channel.send({ fds, facts: { path: "group" } });
    const grant = receiveGrant(io, channel.remote, sent);
    expect(grant.facts).toEqual({ path: "group" });
    for (const name of ["device", "group"] as const) {
      const fd = grant.fds[name] ?? -1;
      expect(fd).not.toBe(fds[name]);
      expect(io.identify(fd).id).toBe(io.identify(fds[name]).id);
    }
  });

  it("is never mixed with the next one", () => {
    const [one, two] = [io.memfd("one", 4096), io.memfd("two", 4096)];
    const sent = [one, two].map((device) => channel.send({ fds: { device }, facts: {} }));
    const came = sent.map((each) => receiveGrant(io, channel.remote, each).fds["device"] ?? -1);
    expect(came.map((fd) => io.identify(fd).id)).toEqual(
      [one, two].map((fd) => io.identify(fd).id),
    );
  });

  it("may have no descriptors at all", () => {
    const sent = channel.send({ fds: {}, facts: { id: 7 } });
    expect(receiveGrant(io, channel.remote, sent)).toEqual({ fds: {}, facts: { id: 7 } });
  });

  it("is refused where other descriptors came than were named, and these are closed", () => {
    const device = io.memfd("device", 4096);
    const { facts } = channel.send({ fds: { device }, facts: {} });
    const before = io.openFds;
    expect(() => receiveGrant(io, channel.remote, { names: ["device", "group"], facts })).toThrow(
      refused,
    );
    expect(io.openFds).toBe(before);
    expect(() => receiveGrant(io, channel.remote, { names: ["device"], facts })).toThrow(refused);
  });

  it("is refused where the process takes nothing any more", () => {
    const fds = { device: io.memfd("device", 4096) };
    expect(() => {
      for (let n = 0; n < 1_000_000; n += 1) channel.send({ fds, facts: {} });
    }).toThrow(refused);
  });

  it("leaves nothing open once the channel is closed, whoever closes first", () => {
    channel.inherited();
    channel[Symbol.dispose]();
    channel.inherited();
    openGrantChannel(io)[Symbol.dispose]();
    expect(io.openFds).toBe(0);
  });
});

describe("A grant that is held", () => {
  it("is closed unless a base took it over", () => {
    const grant = (): { fds: { device: number }; facts: object } => ({
      fds: { device: io.memfd("device", 4096) },
      facts: {},
    });
    const before = io.openFds;
    holdGrant(io, { ...grant(), facts: {} })[Symbol.dispose]();
    expect(io.openFds).toBe(before);
    const held = holdGrant(io, { ...grant(), facts: {} });
    const { fds } = held.take();
    held[Symbol.dispose]();
    expect(io.openFds).toBe(before + 1);
    io.close(fds["device"] ?? -1);
  });
});
