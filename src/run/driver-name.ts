// The name of the driver in records and logs, which no host may have.

export const DRIVER_NAME = "driver";
