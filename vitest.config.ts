import { defineConfig } from "vitest/config";

// Tests read the packages' sources, never a stale build. The conditions belong to the ssr
// environment, in which vitest runs tests.
const conditions = ["@vfmig/source", "module", "node", "development|production"];

export default defineConfig({
  ssr: { resolve: { conditions } },
  test: {
    fsModuleCache: false,
    projects: [
      {
        extends: true,
        test: { name: "unit", include: ["packages/*/src/**/*.test.ts"], testTimeout: 20_000 },
      },
      {
        extends: true,
        test: {
          name: "whole",
          include: ["test/**/*.test.ts"],
          exclude: ["**/node_modules/**", "test/product/**", "test/e2e/**"],
          testTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: { name: "product", include: ["test/product/**/*.test.ts"], testTimeout: 600_000 },
      },
    ],
  },
});
