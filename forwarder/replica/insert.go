package replica

import "strings"

// insertRows is how many rows one statement inserts: most of what a statement
// costs besides its rows is spread over them, and the driver's work per
// parameter stays small.
const insertRows = 24

// An insert is a statement that inserts rows, in a form for one and a form for
// insertRows of them.
//
// It is an INSERT OR ROLLBACK: a row that violates a constraint fails the whole
// transaction, as every error here does. Otherwise SQLite copies the pages that
// a statement of several rows is about to change, to undo half of it. (It does
// so all the same for a table with an INTEGER PRIMARY KEY; see temp_store.)
type insert struct {
	one, many string
	params    int
}

func newInsert(into, row string, onConflict ...string) insert {
	tail := strings.Join(append([]string{""}, onConflict...), " ")
	return insert{
		one:    into + " VALUES " + row + tail,
		many:   into + " VALUES " + strings.Repeat(row+", ", insertRows-1) + row + tail,
		params: strings.Count(row, "?"),
	}
}

// begin starts inserting in a transaction; end has to be called in the end.
func (in *insert) begin(t *tx) *inserter { return &inserter{t: t, insert: in} }

// An inserter collects the rows of a transaction.
type inserter struct {
	*insert
	t    *tx
	args []any
}

// add inserts a row, now or a little later.
func (in *inserter) add(args ...any) error {
	if in.args == nil {
		in.args = make([]any, 0, insertRows*in.params)
	}
	in.args = append(in.args, args...)
	if len(in.args) < insertRows*in.params {
		return nil
	}
	err := in.t.exec(in.many, in.args...)
	in.args = in.args[:0]
	return err
}

// end inserts what is left.
func (in *inserter) end() error {
	for ; len(in.args) > 0; in.args = in.args[in.params:] {
		if err := in.t.exec(in.one, in.args[:in.params]...); err != nil {
			return err
		}
	}
	return nil
}
