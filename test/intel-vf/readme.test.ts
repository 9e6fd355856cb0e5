import { readFileSync } from "node:fs";
import { featureTable, type VfFamily } from "@vfmig/iavf/vf";
import { expect, test } from "vitest";
import { E810_FAMILY } from "../../packages/plugin-e810/src/family.ts";
import { I40E_FAMILY } from "../../packages/plugin-i40e/src/family.ts";

test.each<readonly [string, VfFamily]>([
  ["plugin-i40e", I40E_FAMILY],
  ["plugin-e810", E810_FAMILY],
])("the README of %s has the table of features as the code has it", (name, family) => {
  const readme = new URL(`../../packages/${name}/README.md`, import.meta.url);
  expect(readFileSync(readme, "utf8")).toContain(featureTable(family));
});
