import { readFileSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { COMMAND } from "../codec/commands.ts";
import { COMMAND_SUPPORT } from "./commands-table.ts";
import { PEER_FAULTS } from "./peer-faults.ts";
import { commandsMarkdown, faultsMarkdown } from "./render-tables.ts";

const path = new URL("../../README.md", import.meta.url);

// VFMIG_UPDATE_README=1 vitest run packages/vfio-user/src/peers writes the tables anew.
it.each([
  ["commands", commandsMarkdown()],
  ["faults", faultsMarkdown()],
])("the README holds the table of %s as the code has it", (name, table) => {
  const readme = readFileSync(path, "utf8");
  const place = new RegExp(`(<!-- ${name}: [^>]*-->\n)[^]*?(<!-- /${name} -->)`, "u");
  expect(readme).toMatch(place);
  const wanted = readme.replace(place, (_all, begin: string, end: string) =>
    [begin, table, "\n", end].join("\n").replace("\n\n\n", "\n\n"),
  );
  if (process.env["VFMIG_UPDATE_README"] === "1") writeFileSync(path, wanted);
  else expect(readme).toBe(wanted);
});

it("no command is missing in the table", () => {
  const numbers = COMMAND_SUPPORT.map(({ number }) => number);
  expect(numbers).toEqual([...Array.from({ length: 19 }, (_, i) => i + 1), 0x8001]);
  expect(numbers).toEqual(expect.arrayContaining(Object.values(COMMAND)));
});

it("each fault says how it is recognised, or that it is not, and what is done here", () => {
  for (const { does, recognised, here, peer } of PEER_FAULTS) {
    expect([peer, does, recognised, here].every((text) => text.length > 5 || peer === "QEMU")).toBe(
      true,
    );
    expect(`${does}${recognised}${here}`).not.toContain("|");
  }
});
