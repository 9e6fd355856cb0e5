import { setUp } from "./toolchain.mjs";

await setUp();
