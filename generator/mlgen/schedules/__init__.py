"""When runs start by themselves: cron expressions, time zones, what the run of a time is called and given. Pure."""
