package replica

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"time"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// migrations returns the statements that lead from one schema version to the
// next: the first makes version 1 out of nothing. A released one never changes.
func migrations() ([]string, error) {
	names, err := fs.Glob(schemaFiles, "schema/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	steps := make([]string, len(names))
	for i, name := range names {
		b, err := schemaFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		steps[i] = string(b)
	}
	return steps, nil
}

// schemaVersion reads the version of an existing database.
func schemaVersion(ctx context.Context, c *sql.Conn) (int, error) {
	var v int
	if err := c.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM schema_version`).Scan(&v); err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	return v, nil
}

// schemaProgram reads which program made the newest version; "" = it did not say.
func schemaProgram(ctx context.Context, c *sql.Conn) (program string) {
	// Version 1 has no such column; what a later version has is not ours to know.
	_ = c.QueryRowContext(ctx, `SELECT program FROM schema_version ORDER BY version DESC LIMIT 1`).Scan(&program)
	return program
}

// namesProgram is the first version that has schema_version.program.
const namesProgram = 2

// migrate applies those of steps that the database does not have yet, all in
// one transaction.
func migrate(ctx context.Context, c *sql.Conn, steps []string, now time.Time, program string) (err error) {
	if _, err := c.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, _ = c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		}
	}()
	if _, err := c.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, applied TEXT NOT NULL)`); err != nil {
		return err
	}
	have, err := schemaVersion(ctx, c)
	if err != nil {
		return err
	}
	for i := have; i < len(steps); i++ {
		if _, err := c.ExecContext(ctx, steps[i]); err != nil {
			return fmt.Errorf("migrate to schema version %d: %w", i+1, err)
		}
		if _, err := c.ExecContext(ctx, `INSERT INTO schema_version (version, applied) VALUES (?, ?)`,
			i+1, now.UTC().Format(time.RFC3339)); err != nil {
			return err
		}
	}
	if have < len(steps) && len(steps) >= namesProgram {
		if _, err := c.ExecContext(ctx, `UPDATE schema_version SET program = ? WHERE version > ?`, program, have); err != nil {
			return err
		}
	}
	_, err = c.ExecContext(ctx, "COMMIT")
	return err
}
