"""What went in and out of an account, and where coins reach it. Nothing here moves any."""

from typing import Any, NotRequired

from typing_extensions import TypedDict

from brokers.types import Transfer
from console.connections import broker_access
from mcpserver.context import ToolCall
from mcpserver.result_schemas import Instant, Number, Rows
from mcpserver.tools.render import check_span, compact

_USUAL = 50
_WARNING = (
    "Check the address at the broker before sending anything: coins sent to a wrong address, over another "
    "network or without the tag are lost."
)


class TransferOut(TypedDict):
    transfer_id: str
    at: Instant
    type: str
    status: str
    asset: str
    amount: Number
    fee: NotRequired[Number]
    network: NotRequired[str]
    transaction_hash: NotRequired[str]


class Transfers(TypedDict):
    transfers: Rows[TransferOut]


class AddressOut(TypedDict):
    asset: str
    address: str
    network: NotRequired[str]
    tag: NotRequired[str]


class Addresses(TypedDict):
    addresses: list[AddressOut]
    note: str


def get_transfers(call: ToolCall) -> dict[str, Any]:
    args = call.args
    check_span(args)
    with broker_access.account_for(call.principal, args.get("account_id")) as (broker, account):
        call.account_id = account.account_id
        found = broker.transfers(
            account.account_id, start=args.get("start"), end=args.get("end"), limit=args.get("limit", _USUAL)
        )
    return {"transfers": [_transfer(each) for each in found]}


def get_deposit_address(call: ToolCall) -> dict[str, Any]:
    with broker_access.account_for(call.principal, call.args.get("account_id")) as (broker, account):
        call.account_id = account.account_id
        found = broker.deposit_addresses(account.account_id, call.args["asset"])
    addresses = [compact(asset=each.asset, address=each.address, network=each.network, tag=each.tag) for each in found]
    note = (
        _WARNING
        if addresses
        else "The account has no address for this asset yet. The owner can create one at the broker."
    )
    return {"addresses": addresses, "note": note}


def _transfer(value: Transfer) -> dict[str, Any]:
    return compact(
        transfer_id=value.transfer_id,
        at=value.at,
        type=value.kind.value,
        status=value.status.value,
        asset=value.asset,
        amount=value.amount,
        fee=value.fee,
        network=value.network,
        transaction_hash=value.transaction_hash,
    )
