"""Wording for the shop: finding products, prices and stock, orders and sums."""

from toolbox.wording.samples import some
from toolbox.world.inventory import CATEGORIES, PRODUCTS

ASK = {
    "search_products": (
        "Do you sell a {query}?", "I'm looking for a {query} in your shop.",
        'Which products have "{query}" in their name?', "Search the shop for {query}.",
        "Do you stock anything by the name of {query}?", "Product search: {query}.",
        "I want to buy a {query}. What do you have?",
        "Show me what comes up for {query} in the store."),
    "search_products_by_price": (
        "Which {category} products cost at most {max_price}?",
        "I have {max_price} to spend on {category}. What can I buy?",
        "Show me the {category} department up to {max_price}.",
        "{category} items for no more than {max_price}, please.",
        "In {category}, what is there below a price of {max_price}?",
        "My budget for {category} things is {max_price}. What is on offer?",
        "Look in {category} for something not over {max_price}.",
        "What does the shop have under {category} for {max_price} or less?"),
    "get_product": (
        "What is product {product_id}?", "How much does product {product_id} cost?",
        "Who supplies product {product_id}?", "Name and price of {product_id}, please.",
        "I have the number {product_id} from your catalogue. What article is it?",
        "Look up article {product_id} in the shop.",
        "Tell me the supplier and the price of {product_id}.",
        "What would I pay for one piece of product {product_id}?"),
    "get_product_stock": (
        "Is product {product_id} in stock?", "How many pieces of product {product_id} are left?",
        "Stock of {product_id}, please.", "Is {product_id} sold out?",
        "I want a lot of {product_id}. How many does the store hold?",
        "Is product {product_id} still to be had, or is it gone?",
        "Check the warehouse for {product_id}.",
        "What quantity of {product_id} is on the shelves?"),
    "order_product": (
        "I'd like to buy {quantity} pieces of product {product_id}.",
        "Place an order for {quantity} of {product_id}.",
        "Send me {quantity} pieces of {product_id}.",
        "Order: {quantity} times {product_id}, please.",
        "We need {quantity} of article {product_id}. Buy them.",
        "Purchase product {product_id}, {quantity} pieces.",
        "Put in an order of {product_id}, quantity {quantity}.",
        "Can you get me {quantity} pieces of {product_id} from the shop?"),
    "calculate_order_total": (
        "What do products {product_ids} cost together?", "Sum up the prices of {product_ids}.",
        "My basket holds {product_ids}. What will I pay?", "Total for {product_ids}, please.",
        "If I take one each of {product_ids}, what's the bill?",
        "How much are {product_ids} in all?", "Reckon up an order of {product_ids}.",
        "What's the full price of the products {product_ids}?"),
}
DO = {
    "search_products": (
        "search the shop for {query}", "find products by the name of {query}",
        "see what the store has under {query}", "look for {query} among the products"),
    "search_products_by_price": (
        "find products under {category} that cost at most {max_price}",
        "look in {category} for something up to a price of {max_price}",
        "see what one can buy from {category} with {max_price}",
        "search the section {category} for items of no more than {max_price}"),
    "get_product": (
        "look up the price of {product_id} in the shop", "find out who supplies {product_id}",
        "check what sort of article {product_id} is",
        "tell me the name and price of {product_id} from the catalogue"),
    "get_product_stock": (
        "check whether {product_id} is in stock",
        "find out how many pieces of {product_id} are left",
        "look in the warehouse for {product_id}", "see if {product_id} is sold out in the shop"),
    "order_product": (
        "place an order for {quantity} of {product_id}", "buy {quantity} pieces of {product_id}",
        "purchase {quantity} of {product_id} from the shop",
        "have {quantity} pieces of {product_id} sent to me"),
    "calculate_order_total": (
        "sum up the prices of {product_ids}", "work out what {product_ids} cost together",
        "reckon up a basket of {product_ids}", "tell me the total price of {product_ids}"),
}
TELL = {
    "search_products": (
        "I found the {products.0.product} ({products.0.product_id}) for {products.0.price}.",
        "There is a {products.0.product}, id {products.0.product_id}, at {products.0.price}."),
    "search_products_by_price": (
        "There is the {products.0.product} ({products.0.product_id}) for {products.0.price}.",
        "In {category} I found {products.0.product} at {products.0.price} and {products.1.product} "
        "at {products.1.price}."),
    "get_product": (
        "{product_id} is the {product} by {supplier}, at {price}.",
        "The {product} costs {price} and comes from {supplier}."),
    "get_product_stock": (
        "There are {stock} pieces of {product_id} left.",
        "{stock} pieces of {product_id} are in stock."),
    "order_product": (
        "The order {order_id} is placed; it costs {total_price}.",
        "Ordered: {order_id}, for a total of {total_price}."),
    "calculate_order_total": ("Together they cost {total}.",
                              "The {items} products come to {total}."),
}
NONE = {
    "search_products": ("I found no such product.", "The shop has nothing of that kind."),
    "search_products_by_price": (
        "Nothing in {category} is that cheap.", "I found no {category} product at that price."),
}
EXTRA = {
    "search_products.in_stock_only": (
        "Leave out products that are sold out.", "Only products that are in stock, please.",
        "Skip anything that's out of stock."),
    "order_product.express": (
        "Use fast delivery for the order.", "I'll pay extra for express shipping.",
        "Please send the order by express."),
    "calculate_order_total.discount_percent": (
        "I have a discount of {discount_percent} percent on the basket.",
        "Take {discount_percent} percent off the price of the basket.",
        "A voucher gives me {discount_percent} percent off the order."),
}
_WORDS = ("lamp", "chair", "table", "desk", "kettle", "pan", "knife", "coffee", "keyboard", "mouse",
          "monitor", "headphones", "yoga", "racket", "backpack", "bottle", "bookshelf", "candle",
          "toaster", "speaker")
VALUES = {
    "query": _WORDS, "in_stock_only": (True,), "category": CATEGORIES,
    "max_price": range(20, 300, 5),
    "product_id": tuple(PRODUCTS), "product_ids": some(tuple(PRODUCTS)), "quantity": range(1, 6),
    "order_product.product_id": tuple(key for key, row in PRODUCTS.items() if row["stock"] >= 5),
    "express": (True,), "discount_percent": range(5, 55, 5)}
