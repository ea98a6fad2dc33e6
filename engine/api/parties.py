"""Parties: partner programmes, whose points become coins (SYS-9), and organisations (COI-8)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from engine.api.pagination import page_of
from engine.commands.problem import Problem
from engine.commands.scope import number_of, refuse_retired
from engine.commands.services import Services
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body
from engine.http.response import Response
from engine.people.keys import Principal, Role
from engine.programme import parties
from engine.programme.administration import SQL, Change
from engine.programme.catalogue import Snapshot
from engine.programme.parties import Party
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


@dataclass(frozen=True, slots=True)
class Parties:
    """The calls about one sort of party; `noun` names it in paths, problems and statements."""

    noun: str
    new: BodyDecoder[Any]
    changed: BodyDecoder[Any]
    all_of: Callable[[Snapshot], Mapping[int, Party]]
    body_of: Callable[[Any], Struct]
    page: Callable[[list[Any], str | None], Struct]

    async def listed(self, services: Services, call: Call) -> Response:
        """`GET` of all: for the network, retired ones too."""
        parties = self.all_of(services.catalogue.now).values()
        seen = (party for party in parties if _sees(call.principal, party))
        page, next_cursor = page_of(call.request, seen, lambda party: party.party_id)
        told = [self.body_of(party) for party in page]
        return answer(msgspec.json.encode(self.page(told, next_cursor)))

    async def create(self, services: Services, call: Call) -> Response:
        """`POST`: a new one."""
        body = self.new.decode(await read_body(services, call.request))
        async with services.administration.change(
            call.principal, f"{self.noun} created", content=body
        ) as change:
            change.subject = await change.connection.fetchval(  # network op
                SQL[f"insert_{self.noun}"], body.name
            )
            await _set_rate(change, body)
        return self._told(services, change.subject, 201)

    async def get(self, services: Services, call: Call) -> Response:
        """`GET` of one."""
        return answer(msgspec.json.encode(self.body_of(self._party(services, call))))

    async def change(self, services: Services, call: Call) -> Response:
        """`PATCH`: another name, or from now on another rate."""
        body = self.changed.decode(await read_body(services, call.request))
        if body == PartnerChange():
            raise Problem("invalid_request", "Send `name`, `rate`, or both.")
        party = self._party(services, call)
        refuse_retired(party)
        async with services.administration.change(
            call.principal, f"{self.noun} changed", subject=party.party_id, content=body
        ) as change:
            await change.connection.execute(  # network op
                SQL[f"update_{self.noun}"],
                party.party_id,
                None if body.name is UNSET else body.name,
            )
            await _set_rate(change, body)
        return self._told(services, party.party_id)

    async def retire(self, services: Services, call: Call) -> Response:
        """`DELETE`: no coins come from it or go to it any more."""
        party = self._party(services, call)
        if not party.retired:
            async with services.administration.change(
                call.principal, f"{self.noun} retired", subject=party.party_id
            ) as change:
                await change.connection.execute(  # network op
                    SQL[f"retire_{self.noun}"], party.party_id, change.at
                )
        return self._told(services, party.party_id)

    def _party(self, services: Services, call: Call) -> Party:
        number = number_of(call.params[f"{self.noun}_id"])
        party = self.all_of(services.catalogue.now).get(number)
        if party is None or not _sees(call.principal, party):
            raise Problem(f"{self.noun}_not_found", f"There is no such {self.noun}.")
        return party

    def _told(self, services: Services, party_id: int, status: int = 200) -> Response:
        party = self.all_of(services.catalogue.now)[party_id]
        return answer(msgspec.json.encode(self.body_of(party)), status)


def _sees(principal: Principal, party: Party) -> bool:
    return not party.retired or principal.role is Role.NETWORK


async def _set_rate(change: Change, body: NewParty | NewPartner | PartnerChange) -> None:
    """Put a partner's rate in force from now on, where the body has one."""
    if isinstance(body, NewParty) or body.rate is UNSET:
        return
    await change.connection.execute(  # network op
        SQL["insert_rate"], change.subject, change.at, body.rate.coins, body.rate.points
    )


def _partner_body(partner: parties.Partner) -> Partner:
    rate = partner.rate_at(time.time())
    return Partner(
        partner_id=partner.party_id,
        name=partner.name,
        rate=None if rate is None else Rate(coins=rate.coins, points=rate.points),
        retired=partner.retired,
    )


PARTNERS = Parties(
    "partner",
    BodyDecoder(NewPartner),
    BodyDecoder(PartnerChange),
    lambda snapshot: snapshot.partners,
    _partner_body,
    lambda partners, next_cursor: Partners(partners=partners, next_cursor=next_cursor),
)
ORGANISATIONS = Parties(
    "organisation",
    BodyDecoder(NewParty),
    BodyDecoder(NewParty),
    lambda snapshot: snapshot.organisations,
    lambda party: Organisation(
        organisation_id=party.party_id, name=party.name, retired=party.retired
    ),
    lambda organisations, next_cursor: Organisations(
        organisations=organisations, next_cursor=next_cursor
    ),
)
