"""Parties: partner programmes, whose points become coins (SYS-9), and organisations (COI-8)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import UNSET, Struct

from engine.api.pagination import page_of
from engine.api.resource import Resource
from engine.commands.problem import Problem
from engine.commands.scope import number_of, refuse_retired
from engine.commands.services import Services
from engine.http.dispatcher import Call
from engine.people.keys import Principal, Role
from engine.programme import parties
from engine.programme.administration import Change
from engine.programme.catalogue import Snapshot
from engine.programme.parties import Party, PartyNoun
from engine.schemas.administration import (
    NewPartner,
    NewParty,
    Organisation,
    Organisations,
    Partner,
    PartnerChange,
    Partners,
    Rate,
)


class Parties:
    """The calls about one sort of party; `noun` names it in paths, problems and statements.

    `all_of` gives those of a snapshot, `shown` one as clients see it, and `page` some of them. The
    others are examples: of one, of the body that adds it and of the body that changes it.
    """

    def __init__(
        self,
        noun: PartyNoun,
        rules: str,
        all_of: Callable[[Snapshot], Mapping[int, Party]],
        shown: Callable[[Any], Struct],
        page: Callable[[list[Any], str | None], Struct],
        *,
        example: Struct,
        new: Struct,
        change: Struct,
    ) -> None:
        self._noun, self._all_of, self._shown, self._page = noun, all_of, shown, page
        resource = Resource(noun=noun, rules=rules, example=example)
        self.listed = resource.listing(page([example], None))(self._listed)
        self.create = resource.adding(new)(self._create)
        self.get = resource.reading()(self._get)
        self.change = resource.changing(change)(self._change)
        self.retire = resource.ending()(self._retire)

    async def _listed(self, services: Services, call: Call) -> Struct:
        """`GET` of all: for the network, retired ones too."""
        found = self._all_of(services.catalogue.now).values()
        seen = (party for party in found if _sees(call.principal, party))
        page, next_cursor = page_of(call.request, seen, lambda party: party.party_id)
        return self._page([self._shown(party) for party in page], next_cursor)

    async def _create(self, services: Services, call: Call, body: NewPartner | NewParty) -> Struct:
        """`POST`: a new one."""
        async with services.administration.change(
            call.principal, f"{self._noun} created", content=body
        ) as change:
            change.subject = await parties.insert_party(change.connection, self._noun, body.name)
            await _set_rate(change, body)
        return self._now(services, change.subject)

    async def _get(self, services: Services, call: Call) -> Struct:
        """`GET` of one."""
        return self._shown(self._party(services, call))

    async def _change(
        self, services: Services, call: Call, body: PartnerChange | NewParty
    ) -> Struct:
        """`PATCH`: another name, or from now on another rate."""
        if body == PartnerChange():
            raise Problem("invalid_request", "Send `name`, `rate`, or both.")
        party = self._party(services, call)
        refuse_retired(party)
        async with services.administration.change(
            call.principal, f"{self._noun} changed", subject=party.party_id, content=body
        ) as change:
            name = None if body.name is UNSET else body.name
            await parties.update_party(change.connection, self._noun, party.party_id, name)
            await _set_rate(change, body)
        return self._now(services, party.party_id)

    async def _retire(self, services: Services, call: Call) -> Struct:
        """`DELETE`: no coins come from it or go to it any more."""
        party = self._party(services, call)
        if not party.retired:
            async with services.administration.change(
                call.principal, f"{self._noun} retired", subject=party.party_id
            ) as change:
                await parties.retire_party(change.connection, self._noun, party.party_id, change.at)
        return self._now(services, party.party_id)

    def _party(self, services: Services, call: Call) -> Party:
        number = number_of(call.params[f"{self._noun}_id"])
        party = self._all_of(services.catalogue.now).get(number)
        if party is None or not _sees(call.principal, party):
            raise Problem(f"{self._noun}_not_found", f"There is no such {self._noun}.")
        return party

    def _now(self, services: Services, party_id: int) -> Struct:
        """Return a party as this worker's catalogue has it after a change."""
        return self._shown(self._all_of(services.catalogue.now)[party_id])


def _sees(principal: Principal, party: Party) -> bool:
    return not party.retired or principal.role is Role.NETWORK


async def _set_rate(change: Change, body: NewParty | NewPartner | PartnerChange) -> None:
    """Put a partner's rate in force from now on, where the body has one."""
    if isinstance(body, NewParty) or body.rate is UNSET:
        return
    await parties.insert_rate(
        change.connection,
        change.subject,
        change.at,
        coins=body.rate.coins,
        points=body.rate.points,
    )


def _partner(partner: parties.Partner) -> Partner:
    rate = partner.rate_at(time.time())
    return Partner(
        partner_id=partner.party_id,
        name=partner.name,
        rate=None if rate is None else Rate(coins=rate.coins, points=rate.points),
        retired=partner.retired,
    )


def _organisation(party: Party) -> Organisation:
    return Organisation(organisation_id=party.party_id, name=party.name, retired=party.retired)


PARTNERS = Parties(
    "partner",
    "SYS-9",
    lambda snapshot: snapshot.partners,
    _partner,
    lambda partners, next_cursor: Partners(partners=partners, next_cursor=next_cursor),
    example=Partner(partner_id=1, name="Davipuntos", rate=Rate(coins=1, points=1), retired=False),
    new=NewPartner(name="Davipuntos", rate=Rate(coins=1, points=1)),
    change=PartnerChange(rate=Rate(coins=3, points=2)),
)
ORGANISATIONS = Parties(
    "organisation",
    "COI-8",
    lambda snapshot: snapshot.organisations,
    _organisation,
    lambda organisations, next_cursor: Organisations(
        organisations=organisations, next_cursor=next_cursor
    ),
    example=Organisation(organisation_id=1, name="Fundación Sembrar", retired=False),
    new=NewParty(name="Fundación Sembrar"),
    change=NewParty(name="Fundación Sembrar"),
)
