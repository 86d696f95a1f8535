package replica

import "context"

// Ping asks the database for something small. Its error is that of any read.
func (s *Store) Ping(ctx context.Context) error {
	return s.read(ctx, "ping", func(t *readTx) error {
		var seq int64
		return t.row(`SELECT value FROM counter WHERE name = 'seq'`).Scan(&seq)
	})
}
