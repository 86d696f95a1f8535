// Package taxii is a client for TAXII 2.1 servers as they are.
//
// [Client.Discover], [Client.APIRoot] and [Client.Collections] find out what a
// server offers; [Client.Walk] reads a collection from a [Position] to its end.
//
// # What a walk promises
//
// Every object that the server would serve after the position is given to
// Visit at least once, and a position is handed out only when everything
// before it has been given to Visit. A walk that is cut off anywhere and
// started again from the last position therefore misses nothing. It ends by
// itself whatever the server answers, and its memory does not grow with the
// page or the collection.
//
// # Why it is not simply a loop over next
//
// TAXII 2.1 gives two ways from page to page: the opaque next token, and the
// X-TAXII-Date-Added-Last header as the following added_after (§3.4, §5.4).
// Each is optional in practice and each is wrong on some server: tokens
// that expire, that skip objects, that loop; headers that are missing, that say
// "undefined", that hold another date than added_after is compared with; pages
// cut in the middle of many objects with one date. So a walk follows the token
// where there is one, checks at page boundaries that the token loses nothing
// until the server has shown that it does not, and uses the header where tokens
// are absent or lossy, always stepping back by one unit of the header's
// precision so that ties are read again rather than lost. The clock of this
// machine is never a position.
//
// Likewise match[type] is sent only as long as the server takes it for what it
// is (§3.4.1), see [Matching].
package taxii
