-- Memory bandwidth of the node's own memory, beside that of all. Windows from before have none.
ALTER TABLE monitor_target_window ADD COLUMN mbm_local_bytes REAL;
