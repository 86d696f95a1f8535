package sentinel

import (
	"context"
	"errors"

	"github.com/go-json-experiment/json/jsontext"

	"taxii-forwarder/forwarder/intel"
)

// Deliver implements [intel.Sink].
func (s *Sink) Deliver(ctx context.Context, batch []intel.Change) ([]intel.Outcome, error) {
	outcomes := make([]intel.Outcome, len(batch))
	d := &delivery{sink: s}
	for i := range batch {
		before := len(d.docs)
		var out intel.Outcome
		d.buf, d.docs, out = s.encoder.encode(d.buf, d.docs, &batch[i], i)
		if len(d.docs) == before {
			outcomes[i] = out
		} else if d.docs[before].compound && s.warned.CompareAndSwap(false, true) {
			s.logger.Warn("sentinel matches patterns of a single value only; others are forwarded as they are but may never match (see compound; said once)",
				"indicator", batch[i].Indicator.ID, "pattern", oneLine(batch[i].Indicator.Pattern))
		}
	}
	err := d.run(ctx)
	d.report(outcomes)
	return outcomes, err
}

// delivery is one Deliver: its documents, and what became of them.
type delivery struct {
	sink *Sink
	buf  []byte
	docs []document

	accepted int // documents
	refused  int // documents refused by a request-wide 400 of their own
}

// objectKey is Sentinel's identity of an object.
type objectKey struct{ source, id string }

// run uploads all documents. What Sentinel does with two objects of one id in
// a request is not known, so only the newest of an id is sent; an older one is
// as good as sent with it, unless the newest is refused.
func (d *delivery) run(ctx context.Context) error {
	pending := make([]*document, len(d.docs))
	for i := range d.docs {
		pending[i] = &d.docs[i]
	}
	for len(pending) > 0 {
		newest := make(map[objectKey]*document, len(pending))
		for _, doc := range pending {
			k := objectKey{doc.source, doc.id}
			// Of equal versions the later change is the newer one.
			if best := newest[k]; best == nil || doc.modified >= best.modified {
				newest[k] = doc
			}
		}
		var send, rest []*document
		for _, doc := range pending {
			if newest[objectKey{doc.source, doc.id}] == doc {
				send = append(send, doc)
			} else {
				rest = append(rest, doc)
			}
		}
		if err := d.sendAll(ctx, send); err != nil {
			return err
		}
		pending = pending[:0]
		for _, doc := range rest {
			if newest[objectKey{doc.source, doc.id}].fate == intel.Delivered {
				doc.fate = intel.Delivered
			} else {
				pending = append(pending, doc)
			}
		}
	}
	return d.suspicious()
}

// sendAll uploads documents in requests of one source system each.
func (d *delivery) sendAll(ctx context.Context, docs []*document) error {
	var sources []string
	bySource := map[string][]*document{}
	for _, doc := range docs {
		if bySource[doc.source] == nil {
			sources = append(sources, doc.source)
		}
		bySource[doc.source] = append(bySource[doc.source], doc)
	}
	for _, source := range sources {
		docs := bySource[source]
		for len(docs) > 0 {
			n, size := 0, 0
			for n < len(docs) && n < maxObjects {
				size += docs[n].end - docs[n].start + 1
				if n > 0 && size > maxRequestBytes {
					break
				}
				n++
			}
			if err := d.send(ctx, source, docs[:n]); err != nil {
				return err
			}
			docs = docs[n:]
		}
	}
	return nil
}

// send uploads one request. Where it is refused as a whole, the objects to
// blame are found by halving, and their neighbours delivered.
func (d *delivery) send(ctx context.Context, source string, docs []*document) error {
	if len(docs) == 0 {
		return nil
	}
	rejected, err := d.sink.upload(ctx, d.body(source, docs), len(docs))
	var r *refusal
	switch {
	case err == nil:
		for i, doc := range docs {
			if text, ok := rejected[i]; ok {
				doc.reject("validation", text)
				continue
			}
			doc.fate = intel.Delivered
			d.accepted++
			d.sink.accepted.Store(true)
		}
		return nil
	case !errors.As(err, &r):
		return err
	}
	if named, bad := r.answer.refused(len(docs)); bad == nil && len(named) > 0 {
		// It says whom it minds: the others are sent without them.
		var rest []*document
		for i, doc := range docs {
			if text, ok := named[i]; ok {
				doc.reject("validation", text)
			} else {
				rest = append(rest, doc)
			}
		}
		return d.send(ctx, source, rest)
	}
	if len(docs) == 1 {
		docs[0].reject(r.reason(), r.text)
		if r.reason() == "bad_request" {
			d.refused++
		}
		return nil
	}
	half := len(docs) / 2
	if err := d.send(ctx, source, docs[:half]); err != nil {
		return err
	}
	return d.send(ctx, source, docs[half:])
}

// manyRefused is how many objects have to be refused one by one, and not one
// accepted since the start, before the requests are suspected and not the
// objects.
const manyRefused = 50

// suspicious keeps a set-up that can not work from turning a whole feed into
// dead letters.
func (d *delivery) suspicious() error {
	if d.refused < manyRefused || d.sink.accepted.Load() {
		return nil
	}
	text := ""
	for i := range d.docs {
		if d.docs[i].reason == "bad_request" {
			text = d.docs[i].detail
			d.docs[i].fate = intel.Unknown
		}
	}
	return intel.Fail(intel.FailConfig, "upload to sentinel: all of %d objects were refused with status 400: %s", d.refused, text).
		WithHint("nothing was ever accepted; check api_version, endpoint and source_system")
}

func (doc *document) reject(reason, detail string) {
	doc.fate, doc.reason, doc.detail = intel.Rejected, reason, oneLine(detail)
}

// body builds the request of docs.
func (d *delivery) body(source string, docs []*document) []byte {
	size := 64 + len(source)
	for _, doc := range docs {
		size += doc.end - doc.start + 1
	}
	body := append(make([]byte, 0, size), `{"sourcesystem":`...)
	body, _ = jsontext.AppendQuote(body, source)
	body = append(body, `,"stixobjects":[`...)
	for i, doc := range docs {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, d.buf[doc.start:doc.end]...)
	}
	return append(body, `]}`...)
}

// report folds the documents' fates into their changes' outcomes: unknown if
// any is, else rejected if any is.
func (d *delivery) report(outcomes []intel.Outcome) {
	for i := range d.docs {
		doc := &d.docs[i]
		out := &outcomes[doc.change]
		first := i == 0 || d.docs[i-1].change != doc.change
		switch {
		case doc.fate == intel.Unknown:
			*out = intel.Outcome{}
		case !first && out.Status == intel.Unknown:
			// One part is unknown, so the whole is.
		case doc.fate == intel.Rejected && (first || out.Status != intel.Rejected):
			*out = intel.Outcome{Status: intel.Rejected, Reason: doc.reason, Detail: doc.detail, Sent: doc.line(d.buf)}
		case first:
			*out = intel.Outcome{Status: intel.Delivered}
		}
	}
}
