export { createIgbGuestDriver } from "./driver.ts";
