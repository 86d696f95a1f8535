package elasticsearch

import (
	"strconv"

	"taxii-forwarder/forwarder/intel"
)

// op is one operation of a bulk request: an action line, and for an index
// operation the document after it.
type op struct {
	change int       // index into the batch
	ref    intel.Ref // zero = the indicator as a whole
	remove bool
	tries  int // how often a conflict has been answered with a new version

	version              int64
	id                   [2]int // where the _id is, within its quotes
	start, digits, after int    // of the action line, of its version, of what follows the version
	end                  int    // after the last line feed
}

// bulk is the body of a bulk request under construction.
type bulk struct {
	buf []byte
	ops []op
}

func (b *bulk) reset() { b.buf, b.ops = b.buf[:0], b.ops[:0] }

// begin appends the action line of an operation; the document, if it has one,
// and [bulk.end] follow.
func (b *bulk) begin(change int, ind *intel.Indicator, ref intel.Ref, v int64, remove bool) {
	o := op{change: change, ref: ref, remove: remove, version: v, start: len(b.buf)}
	if remove {
		b.buf = append(b.buf, `{"delete":{"_id":`...)
	} else {
		b.buf = append(b.buf, `{"index":{"_id":`...)
	}
	o.id[0] = len(b.buf) + 1
	b.buf = appendID(b.buf, ind, ref)
	o.id[1] = len(b.buf) - 1
	b.buf = append(b.buf, `,"version":`...)
	o.digits = len(b.buf)
	b.buf = strconv.AppendInt(b.buf, v, 10)
	o.after = len(b.buf)
	b.buf = append(b.buf, `,"version_type":"external_gte"}}`+"\n"...)
	b.ops = append(b.ops, o)
}

func (b *bulk) end() { b.ops[len(b.ops)-1].end = len(b.buf) }

// remove appends a delete.
func (b *bulk) remove(change int, ind *intel.Indicator, ref intel.Ref, v int64) {
	b.begin(change, ind, ref, v, true)
	b.end()
}

// addChange appends the operations of a change, calling full after each; an
// error of full ends it. The documents of an indicator with thousands of
// observables do not all fit one request.
func (b *bulk) addChange(e *Encoder, i int, c *intel.Change, full func() error) error {
	ind := c.Indicator
	modified := ind.Version()
	if c.Action == intel.Upsert {
		v := version(modified, c.At, false)
		for k := range documents(ind) {
			o := observable(ind, k)
			var ref intel.Ref
			if o != nil {
				ref = o.Ref()
			}
			b.begin(i, ind, ref, v, false)
			b.buf = append(e.appendDocument(b.buf, c, o), '\n')
			b.end()
			if err := full(); err != nil {
				return err
			}
		}
	}
	v := version(modified, c.At, true)
	for _, ref := range c.Remove {
		b.remove(i, ind, ref, v)
		if err := full(); err != nil {
			return err
		}
	}
	// The document of the indicator as a whole has no observable that could be in
	// Remove.
	gone := c.Whole && len(ind.Observables) > 0
	if c.Action == intel.Withdraw {
		gone = c.Whole || len(c.Remove) == 0
	}
	if gone {
		b.remove(i, ind, intel.Ref{}, v)
		return full()
	}
	return nil
}

// part returns the operations from i to j as a bulk of their own that shares
// b's memory.
func (b *bulk) part(i, j int) bulk { return bulk{buf: b.buf, ops: b.ops[i:j]} }

// drop removes the first n operations and moves the rest to the front.
func (b *bulk) drop(n int) {
	if n == len(b.ops) {
		b.reset()
		return
	}
	shift := b.ops[n].start
	b.buf = b.buf[:copy(b.buf, b.buf[shift:])]
	b.ops = b.ops[:copy(b.ops, b.ops[n:])]
	for i := range b.ops {
		b.ops[i].move(-shift)
	}
}

func (o *op) move(by int) {
	o.id[0], o.id[1] = o.id[0]+by, o.id[1]+by
	o.start, o.digits, o.after, o.end = o.start+by, o.digits+by, o.after+by, o.end+by
}

// body returns the request body of b, whose operations must follow one another
// in buf.
func (b *bulk) body() []byte { return b.buf[b.ops[0].start:b.ops[len(b.ops)-1].end] }

// again returns a new bulk of some of b's operations, with the versions that
// they now have.
func (b *bulk) again(ops []op) bulk {
	var n bulk
	for _, o := range ops {
		start := len(n.buf)
		n.buf = append(n.buf, b.buf[o.start:o.digits]...)
		n.buf = strconv.AppendInt(n.buf, o.version, 10)
		after := len(n.buf)
		n.buf = append(n.buf, b.buf[o.after:o.end]...)
		o.move(start - o.start)
		o.after, o.end = after, len(n.buf)
		n.ops = append(n.ops, o)
	}
	return n
}

// lines returns what is sent for an operation.
func (b *bulk) lines(o *op) []byte { return b.buf[o.start:o.end] }
