package control

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// proofPath is asked before anything else. A client that finds a control.json
// left behind does not know who has the port by now: its answer proves that it
// knows the token, which is not sent for that.
const proofPath = "/proof"

func proven(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != proofPath {
			next.ServeHTTP(w, r)
			return
		}
		nonce := r.URL.Query().Get("nonce")
		if len(nonce) < 16 || len(nonce) > 128 {
			http.Error(w, "want a nonce", http.StatusBadRequest)
			return
		}
		io.WriteString(w, proof(token, nonce))
	})
}

func proof(token, nonce string) string {
	m := hmac.New(sha256.New, []byte(token))
	m.Write([]byte(nonce))
	return hex.EncodeToString(m.Sum(nil))
}

// proofTimeout is how long a forwarder may take to prove that it is one. It
// does so without looking at its state, so that a busy one answers as well.
var proofTimeout = 5 * time.Second

// prove makes sure that it is the forwarder that answers.
func (c *Client) prove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, proofTimeout)
	defer cancel()
	nonce := rand.Text()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Address+proofPath+"?nonce="+nonce, nil)
	if err != nil {
		return ErrNotRunning
	}
	resp, err := c.http.Do(req)
	var got []byte
	if err == nil {
		got, err = io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		resp.Body.Close()
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("the forwarder (process %d) does not answer at %s: it hangs, or another program has its port; if no such process runs, remove %s from the state directory", c.PID, c.Address, fileName)
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil || subtle.ConstantTimeCompare(got, []byte(proof(c.Token, nonce))) != 1:
		return ErrNotRunning // left behind by one that was killed
	}
	return nil
}
