"""Wording for finance: shares, tips, loans and savings."""

from toolbox.wording.samples import numbers
from toolbox.world.finance import SHARES

ASK = {
    "get_share_price": (
        "What does a share of {symbol} cost?", "Where does {symbol} stand on the stock exchange?",
        "Price of {symbol} stock, please.", "I want to buy {symbol}. What would I pay per share?",
        "At what price is {symbol} trading?", "Quote the stock {symbol} for me.",
        "How much is one share with the symbol {symbol} worth?",
        "Check the stock market: what's {symbol} at?"),
    "get_share_price_change": (
        "Has {symbol} risen or fallen?", "By how much did the stock {symbol} move lately?",
        "Is {symbol} up or down?", "Recent change of {symbol} stock in percent, please.",
        "I hold {symbol}. Did I win or lose on the shares lately?",
        "How has {symbol} been doing on the exchange?", "Trend of the share {symbol}?",
        "What percentage did {symbol} gain or lose?"),
    "find_share": (
        "Under which symbol is {company} traded?", "What's the ticker of {company}?",
        "Stock symbol of {company}, please.",
        "I want to invest in {company}. What is it called on the exchange?",
        "Which sector is {company} in, and what's its ticker?",
        "Tell me the ticker under which {company} is listed.",
        "{company} is listed, I think. What are the letters?",
        "In what sector does the company {company} work?"),
    "calculate_tip": (
        "How much should I tip on a bill of {bill}?", "Dinner was {bill}. What's a fair tip?",
        "Tip for {bill}, please.", "The restaurant wants {bill}. What do I pay with the tip?",
        "I'd like to leave a tip on {bill}. How much is it?",
        "We had lunch for {bill}. Add something for the waiter.",
        "What do I give the waiter when the bill says {bill}?",
        "Restaurant bill {bill}: tip and total?"),
    "calculate_loan_payment": (
        "What's the monthly payment for a loan of {amount} at {rate} percent over {years} years?",
        "I borrow {amount} for {years} years at {rate} percent. What do I pay each month?",
        "Loan {amount}, interest {rate} percent, term {years} years: the monthly rate, please.",
        "If the bank lends me {amount} at {rate} percent, to be paid back in {years} years, what "
        "is "
        "due monthly?",
        "How much a month is a mortgage of {amount} at {rate} percent for {years} years?",
        "I want to pay off {amount} within {years} years; the interest is {rate} percent. How high "
        "are the instalments?",
        "At {rate} percent a year, what would a credit of {amount} cost me monthly over {years} "
        "years?",
        "Over {years} years, what does it take each month to repay {amount} at {rate} percent?"),
    "calculate_savings": (
        "What do savings of {amount} grow to at {rate} percent in {years} years?",
        "I put {amount} aside for {years} years at {rate} percent. What will I have?",
        "Savings {amount}, interest {rate} percent, {years} years: the final sum, please.",
        "If I leave {amount} in the bank at {rate} percent, how much is it after {years} years?",
        "How much interest do I earn on {amount} at {rate} percent over {years} years?",
        "My savings account holds {amount} and pays {rate} percent. How much is there in {years} "
        "years?",
        "With {rate} percent a year, what becomes of a deposit of {amount} in {years} years?",
        "In {years} years, how big is a nest egg of {amount} that earns {rate} percent?"),
}
DO = {
    "get_share_price": (
        "look up what a share of {symbol} costs", "check at what price {symbol} trades",
        "quote the stock price of {symbol}", "find out how much one share of {symbol} is worth"),
    "get_share_price_change": (
        "check whether {symbol} rose or fell",
        "find out by how much {symbol} moved on the exchange",
        "see how {symbol} has been doing as a share",
        "look up the recent percentage change of {symbol}"),
    "find_share": (
        "look up the ticker of {company}", "find out under which symbol {company} is traded",
        "check in which sector {company} works", "get the stock symbol of {company}"),
    "calculate_tip": (
        "work out the tip on a bill of {bill}", "tell me what to tip when the meal costs {bill}",
        "add a tip to a restaurant bill of {bill}", "reckon what the waiter gets on {bill}"),
    "calculate_loan_payment": (
        "work out the monthly payment for a loan of {amount} at {rate} percent over {years} years",
        "find the instalments for borrowing {amount} for {years} years at {rate} percent",
        "tell me what a credit of {amount} over {years} years at {rate} percent costs a month",
        "reckon the monthly cost of a mortgage of {amount} at {rate} percent for {years} years"),
    "calculate_savings": (
        "work out what savings of {amount} grow to at {rate} percent in {years} years",
        "find the interest earned on {amount} at {rate} percent over {years} years",
        "tell me what a deposit of {amount} becomes after {years} years at {rate} percent",
        "reckon how much {amount} put aside for {years} years at {rate} percent will be"),
}
TELL = {
    "get_share_price": ("A share of {symbol} costs {price}.", "{symbol} trades at {price}."),
    "get_share_price_change": (
        "{symbol} moved by {percent} percent, so it is {direction}.",
        "{symbol} is {direction}, with a change of {percent} percent."),
    "find_share": (
        "{company} is traded as {symbol}, in {sector}.",
        "The symbol of {company} is {symbol}; the sector is {sector}."),
    "calculate_tip": ("The tip is {tip}, which makes {total} in all.",
                      "Leave {tip}, so you pay {total}."),
    "calculate_loan_payment": (
        "The monthly payment is {monthly_payment}.",
        "You pay {monthly_payment} a month, {total} in all."),
    "calculate_savings": (
        "They grow to {final_amount}, of which {interest} is interest.",
        "After {years} years there is {final_amount}, with {interest} of interest."),
}
EXTRA = {
    "get_share_price_change.days": (
        "Look at the last {days} days of the share.",
        "The share's change should be over {days} days.",
        "For the share, the period is {days} days."),
    "calculate_tip.percent": (
        "The tip should be {percent} percent.", "I tip {percent} percent.",
        "Give the waiter {percent} percent."),
}
VALUES = {
    "symbol": tuple(SHARES), "days": range(8, 31),
    "company": tuple(row["company"] for row in SHARES.values()), "bill": numbers(8, 300),
    "percent": (5, 7.5, 8, 12, 12.5, 15, 18, 20, 25), "amount": range(500, 90000, 250),
    "rate": (0.5, 1, 1.25, 1.5, 2, 2.5, 2.75, 3, 3.5, 4, 4.5, 5, 5.5, 6, 7, 7.5, 8.25),
    "years": range(2, 31)}
