import { describe, expect, test } from "vitest";
import { parseSpecifier } from "./specifier.ts";

describe("a package specifier", () => {
  test.each([
    ["vfmig-plugin-x", "vfmig-plugin-x", "."],
    ["@vfmig/plugin-i40e", "@vfmig/plugin-i40e", "."],
    ["@vfmig/testkit/i40e-vf-model", "@vfmig/testkit", "./i40e-vf-model"],
    ["a/b/c.js", "a", "./b/c.js"],
    ["@a/b/.hidden", "@a/b", "./.hidden"],
  ])("%s is split into name and subpath", (specifier, name, subpath) => {
    expect(parseSpecifier(specifier)).toEqual({ name, subpath });
  });

  test.each([
    ["./plugin", "paths are not taken"],
    ["../plugin", "paths are not taken"],
    ["/srv/plugin", "paths are not taken"],
    ["file:///srv/plugin.js", "paths are not taken"],
    ["https://example.org/x.js", "URLs are not taken"],
    ["node:fs", "URLs are not taken"],
    ["data:text/javascript,1", "URLs are not taken"],
    ["#internal", "write it as in"],
    ["@scope", "write it as in"],
    ["@scope/", "write it as in"],
    ["a/../b", "write it as in"],
    ["a/./b", "write it as in"],
    ["a/..", "write it as in"],
    ["a//b", "write it as in"],
    ["a/b/", "write it as in"],
    ["a b", "write it as in"],
    ["a%2fb", "write it as in"],
    ["a\\b", "write it as in"],
    [".hidden", "write it as in"],
    ["a\n", "write it as in"],
    ["", "write it as in"],
  ])("cannot be %j", (specifier, hint) => {
    expect(() => parseSpecifier(specifier)).toThrow(
      expect.objectContaining({
        code: "ERR_VFMIG_PACKAGE_SPECIFIER",
        message: expect.stringContaining(hint),
      }),
    );
  });
});
