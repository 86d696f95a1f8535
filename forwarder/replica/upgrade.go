package replica

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// beforeUpgrade ends the name of the copy that an upgrade makes of the database
// first. There is at most one: the next upgrade replaces it.
const beforeUpgrade = ".before-upgrade"

// upgrade brings an older database to the newest schema, in one transaction: a
// crash leaves the old version or the new one. A copy of the old one is made
// first, since no release leads back.
func (s *Store) upgrade(ctx context.Context, have int, steps []string) error {
	keep := s.path + beforeUpgrade
	s.log.Info("upgrading the state database; a copy is made first", "from", have, "to", len(steps), "copy", keep)
	if err := s.copyTo(ctx, keep); err != nil {
		return fmt.Errorf("copy the database to %s before its upgrade, which takes as much space again: %w", keep, err)
	}
	if err := migrate(ctx, s.w, steps, s.now(), s.program); err != nil {
		return err
	}
	s.log.Info("upgraded the state database", "version", len(steps), "copy", keep)
	return nil
}

// copyTo writes the database to file, which it replaces at once or not at all.
func (s *Store) copyTo(ctx context.Context, file string) (err error) {
	tmp := file + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp)
		}
	}()
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if _, err := s.w.ExecContext(ctx, `VACUUM INTO ?`, tmp); err != nil {
		return err
	}
	if f, err = os.OpenFile(tmp, os.O_RDWR, 0); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, file); err != nil {
		return err
	}
	return syncDir(s.dir)
}
