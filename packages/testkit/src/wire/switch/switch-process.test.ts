import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { frameOf } from "../testing/frames.ts";
import { Seen, SwitchRig } from "../testing/switch-rig.ts";
import { runSwitch } from "./switch-process.ts";

let rig: SwitchRig;
beforeEach(() => {
  rig = new SwitchRig();
});
afterEach(() => rig.end());

describe("the vfmig-switch command", () => {
  const command = async (args: string[], ended: Promise<unknown> = Promise.resolve()) => {
    const out: string[] = [];
    const err: string[] = [];
    const code = await runSwitch(args, {
      out: (text) => void out.push(text),
      err: (text) => void err.push(text),
      ended,
    });
    return { code, out: out.join(""), err: err.join("") };
  };

  test("explains itself, and refuses what it does not know", async () => {
    expect(await command(["--help"])).toMatchObject({ code: 0, err: "" });
    for (const args of [[], ["a", "b"], ["--wat", "a"]]) {
      // oxlint-disable-next-line no-await-in-loop
      expect(await command(args)).toMatchObject({ code: 2, out: "" });
    }
  });

  test("says where it cannot listen", async () => {
    const { code, err } = await command([join(rig.folder, "missing", "switch")]);
    expect(code).toBe(4);
    expect(err).toContain("ERR_VFMIG_WIRE_PORT");
  });

  test("reports its ports at the end, as a table or as JSON", async () => {
    const table = await command([rig.path]);
    expect(table).toMatchObject({ code: 0, err: `switch at ${rig.path}\n` });
    expect(table.out).toContain("received");
    const { out } = await command([rig.path, "--json"]);
    expect(JSON.parse(out)).toEqual({ schemaVersion: 1, ports: [], moves: 0 });
    expect(existsSync(rig.path)).toBe(false);
  });

  test("runs as a process of its own until SIGTERM", async () => {
    const main = fileURLToPath(new URL("./switch-process.ts", import.meta.url));
    const child = spawn(process.execPath, ["--conditions=@vfmig/source", main, rig.path, "--json"]);
    const said = { out: "", err: "" };
    const lines = new Seen<string>();
    child.stdout.on("data", (chunk: Buffer) => (said.out += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => {
      said.err += chunk.toString();
      while (lines.all.length < said.err.split("\n").length - 1) {
        lines.add(said.err.split("\n")[lines.all.length] ?? "");
      }
    });
    await lines.until(1);
    const [a, b] = [rig.device(), rig.device()];
    await lines.until(3);
    await a.joined;
    a.port.transmit(frameOf(0xff, 1, 1));
    await b.got.until(1);
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    expect(await exited).toBe(0);
    expect(JSON.parse(said.out)).toMatchObject({
      ports: [{ received: 1, flooded: 1 }, { sent: 1 }],
    });
    expect(existsSync(rig.path)).toBe(false);
  });
});
