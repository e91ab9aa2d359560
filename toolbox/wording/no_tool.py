"""What people say when no offered tool fits, and what an assistant answers.

{city}, {person} and {number} are filled as in the asides. In SMALL_TALK, OUTSIDE and VAGUE every
fourth text is only for held-out conversations, so that no model has read it.
"""

# Not a task at all.
SMALL_TALK = (
    "hi", "Hello!", "Hey there", "Good morning",
    "How are you?", "Thanks, that was all.", "Good evening, nice to meet you.", "Hi, how are you?",
    "Thank you very much!", "I am {person}. Who are you?", "What can you do?", "hello there",
    "Never mind, I found it myself.", "Goodbye!", "You are funny.", "Thanks a lot, bye!",
    "What is your name?", "I am bored.", "Nice weather in {city}, isn't it? Just saying.",
    "Who made you?",
    "Are you a robot?", "I love {city}.", "Ok, great.", "Do you ever sleep?",
    "See you tomorrow!", "My name is {person}.", "I had a terrible day.", "I feel great today!",
    "That is all for now.", "Just testing.", "Is anybody there?", "Good night, sleep well.",
    "You are the best!", "I am {number} years old.", "test", "Do you like {city}?",
    "Sorry, wrong window.", "Ha, good one.", "Happy birthday to me!", "Merry Christmas!",
)
GREETINGS = (
    "Hello! How can I help you?", "Hi! What can I do for you?",
    "Nice to hear from you. What can I do for you?", "You are welcome. Tell me if you need more.",
    "I am here to help. What do you need?",
)

# A task that nothing in toolbox/world can do.
OUTSIDE = (
    "Translate \"good morning\" into French.", "Write me a poem about {city}.",
    "Order a large pizza for {person}.", "Play a game of chess with me.",
    "Can you fix my printer?", "Please call a taxi to the station in {city}.",
    "Tell me a joke about {city}.", "Draw a picture of a cat for {person}.",
    "What did I dream last night?", "Renew my passport, please.",
    "Could you water my plants while I am in {city}?", "Could you wash my car?",
    "Find out who is going to win the election in {city}.", "I need a haircut at {number} o'clock.",
    "Give me the password of {person}.", "Where did I leave my keys?",
    "Please post a parcel to {person} in {city}.", "Write a program that prints {number} stars.",
    "Please tune my guitar.", "Name my new dog, please.",
    "Can you repair the roof of my house in {city}?", "Explain why the sky is blue.",
    "Please print {number} copies of my report.", "Which colour should I paint the kitchen?",
    "I want to sell my old bicycle for {number} euros.", "Find me a flat in {city}.",
    "Please pay my electricity bill.", "Teach me how to knit a scarf.",
    "Is {person} in love with me?", "Take a photo of the moon.",
    "Please sue my landlord in {city}.", "Write a birthday card for {person}.",
    "How do I get rid of {number} ants in my kitchen?", "Deliver {number} roses to {person}.",
    "Please vacuum the living room.", "Make a logo for my shop in {city}.",
    "Tell my fortune for next week.", "Summarise the novel that I am writing.",
    "Please find a babysitter in {city}.", "Unlock the phone of {person}.",
)
DECLINING = (
    "Sorry, none of the tools here can do that.", "I can't do that with the tools that I have.",
    "I am afraid that no tool here fits your request.",
    "Sorry, I have no tool for that.", "That is not possible: no tool here does it.",
)

# A task of which nothing is said yet.
VAGUE = (
    "Can you help me?", "I need some help.", "I have a question.", "Could you do me a favour?",
    "Please do something for me.", "I need you to look something up.",
    "Can you find something out for {person}?", "Would you help me with something?",
    "I am planning something in {city}.", "{person} asked me to ask you.",
    "I need a hand here.", "I want to know something.",
)
ASKING = (
    "Of course. What do you need?", "Sure, what can I do for you?", "What would you like to know?",
    "Yes. What is it about?",
)
