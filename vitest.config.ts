import { defineConfig } from "vitest/config";

// Tests read the packages' sources, never a stale build. The conditions belong to the ssr
// environment, in which vitest runs tests.
const conditions = ["@vfmig/source", "module", "node", "development|production"];

/** Tests that take a while run with those of the packed product, and not with every `npm test`. */
const long = "**/*.long.test.ts";

export default defineConfig({
  ssr: { resolve: { conditions } },
  test: {
    fsModuleCache: false,
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          // In one process each, by clocks of their own: several at once do no harm.
          include: ["packages/*/src/**/*.test.ts", "test/{architecture,intel-vf}/**/*.test.ts"],
          exclude: ["**/node_modules/**", long],
          testTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: "whole",
          // With devices, wires and guests as processes, in real time.
          include: ["test/whole/**/*.test.ts"],
          exclude: ["**/node_modules/**", long],
          testTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: "product",
          include: ["test/product/**/*.test.ts", long],
          exclude: ["**/node_modules/**"],
          testTimeout: 600_000,
        },
      },
    ],
  },
});
