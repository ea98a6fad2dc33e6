# A wallet is a customer's account of one asset; its state is what its newest journal row says.
#
# While a batch is in flight that changes it, it has its state twice: as committed, and as planned.
# A batch plans on a copy, so giving a batch up is forgetting the copy, and publishing it is keeping
# it. Most of what a worker keeps in memory are wallets that nobody is changing, hence no more for
# each than it needs: a chain in the place of a list, and functions in the place of methods, whose
# table every object would point to.

cdef enum:
    ID_SIZE = 16

ZERO_HASH = bytes(HASH_SIZE)


cdef struct State:
    int64_t seq                     # 0: no row of it is committed
    int64_t balance
    int64_t held
    int64_t recorded_at             # microseconds since 1970, UTC
    int32_t flags
    Lots lots
    uint8_t hash[HASH_SIZE]


@cython.final
@cython.no_gc                      # wallets are a chain, which ends
cdef class Wallet:
    cdef:
        readonly int32_t asset
        State committed
        State* planned              # NULL: no batch in flight changes it
        list committed_holds
        list planned_holds
        Wallet next                 # of the same customer

    def __cinit__(self, int32_t asset):
        self.asset = asset
        self.committed_holds = EMPTY
        self.planned_holds = EMPTY

    def __dealloc__(self):
        PyMem_Free(self.committed.lots.items)
        state_free(self.planned)

    def __repr__(self):
        cdef State* state = &self.committed if self.planned == NULL else self.planned
        asset = "coins" if self.asset == COINS else f"points of brand {self.asset}"
        return (f"<Wallet of {asset}: {state.balance} in {state.lots.length} lots, {state.held} "
                f"held, seq {state.seq}{'' if self.planned == NULL else ', planned'}>")

    @property
    def seq(self):
        return self.committed.seq

    @property
    def balance(self):
        return self.committed.balance

    @property
    def held(self):
        return self.committed.held

    @property
    def lots(self):
        return lots_list(&self.committed.lots)

    @property
    def holds(self):
        return list(self.committed_holds)

    @property
    def hash(self):
        return PyBytes_FromStringAndSize(<char*> self.committed.hash, HASH_SIZE)

    def available(self, int64_t now, int64_t utc_offset):
        """Return (available, held, lots) at `now`, as the next posting would find them.

        Holds whose time is up are back, due lots are gone, debts are repaid from what is left, in
        this order. `now` is in microseconds since 1970 UTC, `utc_offset` in seconds; lots are (key,
        amount). It says so without waiting for that posting (PTS-5).
        """
        cdef:
            int64_t held = self.committed.held
            Lots lots = Lots(NULL, 0, 0)
            Lots moved = Lots(NULL, 0, 0)
            Hold hold
            int32_t at
        try:
            lots_copy(&lots, &self.committed.lots)
            for hold in self.committed_holds:
                if hold.expires_at <= now:
                    held -= hold.coins
                    for at in range(hold.lots_taken.length):
                        lots_add(&lots, hold.lots_taken.items[at].key,
                                 hold.lots_taken.items[at].amount)
            lots_expire(&lots, local_day(now, utc_offset), &moved)
            lots_repay(&lots, &moved)
            return lots_total(&lots), held, lots_list(&lots)
        finally:
            PyMem_Free(lots.items)
            PyMem_Free(moved.items)


cdef list EMPTY = []


cdef void state_free(State* state) noexcept:
    if state != NULL:
        PyMem_Free(state.lots.items)
        PyMem_Free(state)


cdef int wallet_plan(Wallet wallet) except -1:
    """Start a planned state as a copy of the committed one."""
    cdef State* planned = <State*> PyMem_Malloc(sizeof(State))
    if planned == NULL:
        raise MemoryError("no memory for a wallet's planned state")
    planned[0] = wallet.committed
    planned.lots = Lots(NULL, 0, 0)
    try:
        lots_copy(&planned.lots, &wallet.committed.lots)
    except MemoryError:
        PyMem_Free(planned)
        raise
    wallet.planned = planned
    wallet.planned_holds = wallet.committed_holds
    return 0


cdef void wallet_publish(Wallet wallet) noexcept:
    PyMem_Free(wallet.committed.lots.items)
    wallet.committed = wallet.planned[0]
    lots_fit(&wallet.committed.lots)
    wallet.committed_holds = wallet.planned_holds
    PyMem_Free(wallet.planned)
    wallet.planned = NULL
    wallet.planned_holds = EMPTY


cdef void wallet_discard(Wallet wallet) noexcept:
    state_free(wallet.planned)
    wallet.planned = NULL
    wallet.planned_holds = EMPTY


cdef inline int64_t local_day(int64_t now, int64_t utc_offset) noexcept:
    """Return the calendar day, in days since 1970, at `now` microseconds and that offset."""
    return (now // MICROSECONDS + utc_offset) // DAY_SECONDS


@cython.final
@cython.no_gc                      # it holds wallets, which do not hold it
cdef class Customer:
    """The wallets of one customer, and what of the customer decisions need to know."""

    cdef:
        uint8_t id[ID_SIZE]
        readonly int32_t missing_fields
        bint used
        Wallet first

    def __cinit__(self, bytes customer_id not None, int32_t missing_fields):
        memcpy(self.id, id_of(customer_id), ID_SIZE)
        self.missing_fields = missing_fields

    @property
    def customer_id(self):
        return PyBytes_FromStringAndSize(<char*> self.id, ID_SIZE)

    @property
    def wallets(self):
        """The wallets, in the order in which they came."""
        cdef:
            list wallets = []
            Wallet wallet = self.first
        while wallet is not None:
            wallets.append(wallet)
            wallet = wallet.next
        return wallets

    cdef Wallet find(self, int32_t asset):
        cdef Wallet wallet = self.first
        while wallet is not None and wallet.asset != asset:
            wallet = wallet.next
        return wallet

    cdef void add(self, Wallet wallet) noexcept:
        cdef Wallet last = self.first
        if last is None:
            self.first = wallet
            return
        while last.next is not None:
            last = last.next
        last.next = wallet

    cdef int64_t count(self) noexcept:
        cdef:
            int64_t wallets = 0
            Wallet wallet = self.first
        while wallet is not None:
            wallets += 1
            wallet = wallet.next
        return wallets

    cdef void forget_uncommitted(self):
        """Forget the wallets that no row is committed of; a batch that is given up made them."""
        cdef:
            list wallets = self.wallets
            Wallet wallet
        self.first = None
        for wallet in wallets:
            wallet.next = None
            if wallet.committed.seq:
                self.add(wallet)

    cdef int32_t flags(self):
        """Return the flags of the customer: every wallet carries them, a new one inherits them."""
        cdef:
            int32_t flags = 0
            Wallet wallet = self.first
        while wallet is not None:
            flags |= wallet.committed.flags if wallet.planned == NULL else wallet.planned.flags
            wallet = wallet.next
        return flags


cdef const uint8_t* id_of(bytes customer_id) except NULL:
    """Return the bytes of a customer's id; raises ValueError for another number than 16."""
    if PyBytes_GET_SIZE(customer_id) != ID_SIZE:
        raise ValueError("a customer's id has 16 bytes")
    return <const uint8_t*> PyBytes_AS_STRING(customer_id)
