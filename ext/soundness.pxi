# What holds of a wallet after each verb and of each row: asserted in builds with ENGINE_DEBUG=1.
#
# A load and the audit look at the same from outside; here a verb that breaks it is caught in the
# act. In other builds CHECKED is the constant 0, and the compiler leaves the calls out.


cdef int assert_sound(Wallet wallet) except -1:
    """Raise AssertionError where the state that is planned for a wallet contradicts itself."""
    cdef:
        State* state = wallet.planned
        Hold hold
        int64_t in_holds = 0
    assert lots_are_sound(&state.lots), f"lots out of order, or of the wrong sign: {wallet}"
    assert lots_total(&state.lots) == state.balance, f"the lots are not the balance: {wallet}"
    for hold in wallet.planned_holds:
        in_holds += hold.coins
        assert lots_are_sound(&hold.lots_taken), f"a hold has lots out of order: {wallet}"
        assert lots_total(&hold.lots_taken) == hold.coins, f"a hold's lots are not it: {wallet}"
    assert in_holds == state.held, f"the holds are not what is held: {wallet}"
    return 0


cdef int assert_decided(Customer customer, Operation operation) except -1:
    """Raise AssertionError where a verb leaves a wallet unsound, or debts beside lots."""
    cdef Wallet wallet
    for wallet in customer.wallets:
        if wallet.planned != NULL:
            assert_sound(wallet)
            assert not lots_are_mixed(&wallet.planned.lots), (
                f"debts are left beside lots: {wallet}, after {operation}")
    return 0


cdef int assert_row(Wallet wallet, const Posting* posting) except -1:
    """Raise AssertionError where a row is not of the state after it, or of no such verb."""
    assert_sound(wallet)
    assert posting.refusal == NOT_REFUSED or may_refuse(posting.kind, posting.refusal), (
        f"engine/codes.py has no {name_of(REFUSAL_NAMES, posting.refusal)} "
        f"for {name_of(KIND_NAMES, posting.kind)}")
    return 0
