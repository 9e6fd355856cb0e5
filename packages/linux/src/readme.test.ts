import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { runNode } from "./testing/run-node.ts";

test("the example of the README runs", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const example = /```ts\n(.*?)```/su.exec(readme)?.[1] ?? "";
  expect(runNode(example)).toEqual({
    code: 0,
    signal: null,
    out: "1 byte and 8192 bytes of memory\n",
    err: "",
  });
});
