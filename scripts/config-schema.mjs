// Writes the JSON Schema of the configuration into core's package: node scripts/config-schema.mjs
import { writeFile } from "node:fs/promises";
import { configJsonSchema } from "../packages/core/dist/config/schema.js";

const file = new URL("../packages/core/schema/vfmig.config.schema.json", import.meta.url);
await writeFile(file, `${JSON.stringify(configJsonSchema(), undefined, 2)}\n`);
