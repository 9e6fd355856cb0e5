#!/usr/bin/env node
import { main } from "../dist/wire/switch/switch-process.js";

await main();
