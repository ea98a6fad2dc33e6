# Legs: the rows of a transaction, as the journal has them, for an operation that reverses it.
#
# A row never changes, so whoever read it read all there is to know: no compare-and-set is needed.


@cython.final
cdef class Leg:
    """A row of the transaction that is to be reversed, and what happened once by it.

    `unit` and `turn` were taken of an item; `taker` is the transaction that took them: of a capture
    that is its payment. `claim` is (kind, owner, key) of what it claimed, `invoice` (store_id, key)
    of the invoice that its coins paid. `allotment_id` is what paid for the coins that a prepaid
    issuer gave.
    """

    cdef:
        readonly int32_t asset
        readonly int kind
        readonly int refusal
        readonly int64_t amount
        readonly int64_t held_amount
        readonly int counter
        readonly int32_t counter_party
        readonly int32_t item_id
        readonly int32_t unit
        readonly int32_t turn
        readonly bytes taker
        readonly bytes allotment_id
        readonly tuple claim
        readonly tuple invoice
        Lots lots_moved

    def __init__(self, *, int32_t asset, int kind, moved, int refusal=NOT_REFUSED,
                 int64_t amount=0, int64_t held_amount=0, int counter=NO_COUNTER,
                 int32_t counter_party=0, int32_t item_id=0, int32_t unit=0, int32_t turn=0,
                 bytes taker=None, bytes allotment_id=None, tuple claim=None,
                 tuple invoice=None):
        self.lots_moved.length = 0
        for key, moved_amount in moved:
            lots_add(&self.lots_moved, key, moved_amount)
        self.asset = asset
        self.kind = kind
        self.refusal = refusal
        self.amount = amount
        self.held_amount = held_amount
        self.counter = counter
        self.counter_party = counter_party
        self.item_id = item_id
        self.unit = unit
        self.turn = turn
        self.taker = taker
        self.allotment_id = allotment_id
        self.claim = claim
        self.invoice = invoice
        if (unit or turn or claim is not None) and taker is None:
            raise ValueError("a unit, a turn and a claim need the transaction that took them")
        if allotment_id is not None and counter != COINS_ISSUED:
            raise ValueError("nothing but what issues coins draws from an allotment")
        if self.reversible and not self.is_sound():
            raise ValueError("a leg does not move what its amounts say")

    def __dealloc__(self):
        PyMem_Free(self.lots_moved.items)

    @property
    def moved(self):
        return lots_list(&self.lots_moved)

    @property
    def reversible(self):
        """Whether a reversal undoes it: it earned or spent, and was not refused."""
        return self.refusal == NOT_REFUSED and reversible(self.kind)

    cdef int64_t total(self) noexcept:
        """Return what the wallet got by it; a capture takes what was held."""
        return self.amount + self.held_amount

    cdef bint is_sound(self) noexcept:
        cdef:
            bint earned = earns(self.kind)
            int32_t at
        for at in range(self.lots_moved.length):
            if (lot_expires_day(self.lots_moved.items[at].key) <= DEBT_DAY
                    or (self.lots_moved.items[at].amount > 0) != earned):
                return False
        return (lots_total(&self.lots_moved) == self.total()
                and BALANCE_MIN <= self.total() <= BALANCE_MAX)
