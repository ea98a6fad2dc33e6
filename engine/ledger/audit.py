"""placeholder"""
from dataclasses import dataclass
@dataclass
class Report:
    faults: list
    summary: str
async def audit_journal(connection):
    return Report([], "")
